//! What Linux says of a process.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// CPU time and memory of a process and all that descend from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system, also of children that were waited for.
    pub cpu: Duration,
    /// Bytes. What processes share counts for each: it is the change that matters.
    pub resident: u64,
}

/// Clock ticks per second of the CPU times in `/proc`. The kernel's interface has it fixed at 100 on
/// every architecture that Rust supports.
const TICKS_PER_SECOND: u64 = 100;
/// A tree of processes deeper or wider than this is not followed further.
const PROCESSES_MAX: usize = 4096;

impl Usage {
    /// `None` when there is no such process, or no `/proc`.
    pub fn of(pid: u32) -> Option<Self> {
        let mut usage = Self::of_one(pid)?;
        let mut known = BTreeSet::from([pid]);
        let mut unseen = vec![pid];
        while let Some(parent) = unseen.pop() {
            for child in children(parent) {
                if known.len() < PROCESSES_MAX && known.insert(child) {
                    // It may have ended meanwhile: its time is then its parent's.
                    let one = Self::of_one(child).unwrap_or_default();
                    usage.cpu += one.cpu;
                    usage.resident += one.resident;
                    unseen.push(child);
                }
            }
        }
        Some(usage)
    }

    fn of_one(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; the third field is behind it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        if fields.first() == Some(&"Z") {
            return None;
        }
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        // utime, stime, and those of the children that were waited for.
        let ticks = number(14)? + number(15)? + number(16)? + number(17)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        // "123456 kB"; a process that is ending has none.
        let kib = resident.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse().ok());
        Some(Self {
            cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
            resident: kib.unwrap_or(0_u64) * 1024,
        })
    }
}

/// The children of all threads of a process.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let mut children = Vec::new();
    for thread in threads.into_iter().flatten().flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(
            list.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    children
}
