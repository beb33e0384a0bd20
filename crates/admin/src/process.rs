//! What this process uses, from `/proc/self`.

use std::fs;
use std::time::Duration;

/// Clock ticks per second of the CPU times in `/proc`. The kernel's interface has it fixed at 100 on every
/// architecture that Paceline runs on (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;

/// A moment's figures. What could not be read is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Process {
    pub(crate) cpu: Option<Duration>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) virtual_bytes: Option<u64>,
    pub(crate) descriptors_open: Option<u64>,
    pub(crate) descriptors_max: Option<u64>,
    pub(crate) threads: Option<u64>,
}

impl Process {
    /// Reads them now.
    pub(crate) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Self {
            cpu: cpu(&stat),
            resident_bytes: kib(&status, "VmRSS:"),
            virtual_bytes: kib(&status, "VmSize:"),
            // The folder's own descriptor is open while it is counted.
            descriptors_open: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|entries| (entries.count() as u64).saturating_sub(1)),
            descriptors_max: descriptors_max(&limits),
            threads: field(&status, "Threads:").and_then(|text| text.parse().ok()),
        }
    }
}

/// User and system time. The command's name, in parentheses, may itself contain spaces and parentheses.
fn cpu(stat: &str) -> Option<Duration> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_secs_f64(
        (user + system) as f64 / TICKS_PER_S,
    ))
}

fn field<'t>(status: &'t str, name: &str) -> Option<&'t str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let kib: u64 = field(status, name)?
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    Some(kib * 1024)
}

fn descriptors_max(limits: &str) -> Option<u64> {
    let line = field(limits, "Max open files")?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 4 0 100 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(4)));
        let status = "Name:\tx\nVmSize:\t  2048 kB\nVmRSS:\t    1024 kB\nThreads:\t4\n";
        assert_eq!(kib(status, "VmRSS:"), Some(1 << 20));
        assert_eq!(kib(status, "VmSize:"), Some(2 << 20));
        assert_eq!(field(status, "Threads:"), Some("4"));
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096 files\n";
        assert_eq!(descriptors_max(limits), Some(1024));
        assert_eq!(
            descriptors_max("Max open files  unlimited unlimited files"),
            None
        );
        assert_eq!(
            (cpu(""), cpu("7 (x) S"), kib("", "VmRSS:")),
            (None, None, None)
        );
    }

    #[test]
    fn this_process_has_figures() {
        let process = Process::read();
        assert!(process.resident_bytes > Some(100_000), "{process:?}");
        assert!(process.descriptors_open >= Some(3), "{process:?}");
        assert!(
            process.threads >= Some(1) && process.cpu.is_some(),
            "{process:?}"
        );
    }
}
