//! `--watch-pid`: a process under the load that there is.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::bail;
use paceline_diagnose::{Material, ProcessSeen, Report};
use paceline_watch::{Memory, Usage, Watch};
use serde::Deserialize;

use crate::instance::Instance;

/// A time for each part of which the rate of the requests is compared.
const PARTS: u32 = 6;
/// Fewer requests in a part are too few for a rate.
const REQUESTS_MIN: f64 = 10.0;
/// How far apart the rates of two parts may be, beside what chance does.
const RATE_SPREAD_MAX: f64 = 0.5;

/// What is watched.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Also watch a process of this machine under the load that there is, the application's mostly, and report whether its
    /// memory grows without end. Needs an instance that sees steady traffic meanwhile
    #[arg(long, value_name = "PID")]
    watch_pid: Option<u32>,
    /// For how long: 10s to 1h
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "watch_pid", value_parser = duration)]
    watch_for: Duration,
}

#[derive(Deserialize)]
struct Status {
    journal: Journal,
}

#[derive(Deserialize)]
struct Journal {
    requests_total: u64,
}

impl Args {
    /// What is found in the process; nothing when none is named.
    pub(super) fn look(&self, url: &str) -> anyhow::Result<Option<Report>> {
        self.watch_pid
            .map(|pid| look(pid, self.watch_for, &mut Instance::at(url)?))
            .transpose()
    }
}

fn look(pid: u32, time: Duration, instance: &mut Instance) -> anyhow::Result<Report> {
    if Usage::of(pid).is_none() {
        bail!("There is no process {pid} on this machine.");
    }
    let name = name_of(pid);
    let mut watch = Watch::new(pid);
    let mut totals = vec![requests(instance)?];
    let start = Instant::now();
    for part in 1..=PARTS {
        while start.elapsed() < time * part / PARTS {
            watch.look();
            sleep(paceline_watch::INTERVAL);
        }
        totals.push(requests(instance)?);
    }
    let counts: Vec<f64> = totals
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]) as f64)
        .collect();
    let sum: f64 = counts.iter().sum();
    let is_steady = is_steady(&counts);
    let Some(watched) = watch.finish(sum as u64, is_steady) else {
        bail!("Process {pid} had ended before it was looked at.");
    };
    let seen = ProcessSeen {
        name: &name,
        watched: &watched,
        rate: Some(sum / time.as_secs_f64()),
    };
    let mut report = Report::of(&Material {
        process: Some(&seen),
        ..Material::default()
    });
    if watched.memory == Memory::NotEnoughData {
        let reason = match (watched.ended, is_steady) {
            (true, _) => "it has ended".to_owned(),
            (_, false) => {
                let rates: Vec<_> = counts.iter().map(|count| format!("{count:.0}")).collect();
                format!(
                    "its load was not steady, or too small: the instance saw {} requests in the {PARTS} parts of the time",
                    rates.join(", ")
                )
            }
            _ => "it was watched too short (--watch-for)".to_owned(),
        };
        report
            .not_read
            .push(format!("whether the memory of {name} grows: {reason}"));
    }
    Ok(report)
}

fn requests(instance: &mut Instance) -> anyhow::Result<u64> {
    let status: Status = instance.get("/api/v1/status")?;
    Ok(status.journal.requests_total)
}

/// Whether the parts differ by no more than they may. Chance makes counts differ by their square root.
fn is_steady(counts: &[f64]) -> bool {
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    let (min, max) = counts
        .iter()
        .fold((f64::MAX, 0.0_f64), |(min, max), count| {
            (min.min(*count), max.max(*count))
        });
    min >= REQUESTS_MIN && max - min <= RATE_SPREAD_MAX * mean + 3.0 * mean.sqrt()
}

/// What the system calls it.
fn name_of(pid: u32) -> String {
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => format!("process {pid}"),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let found = crate::config::units::parse_duration(text)?;
    let range = Duration::from_secs(10)..=Duration::from_secs(3600);
    if !range.contains(&found) {
        return Err("it must be between 10s and 1h".to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_steady_within_what_chance_does() {
        let rows: [(&[f64], bool); 6] = [
            (&[100.0, 104.0, 97.0, 110.0, 95.0, 101.0], true),
            (&[20.0, 12.0, 25.0, 16.0, 22.0, 18.0], true),
            (&[100.0, 100.0, 100.0, 100.0, 100.0, 15.0], false),
            (&[20.0, 40.0, 60.0, 80.0, 100.0, 120.0], false),
            (&[9.0, 9.0, 9.0, 9.0, 9.0, 9.0], false),
            (&[0.0; 6], false),
        ];
        for (counts, expected) in rows {
            assert_eq!(is_steady(counts), expected, "{counts:?}");
        }
    }

    #[test]
    fn a_time_is_bounded() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert!(duration("5s").is_err() && duration("2h").is_err() && duration("x").is_err());
    }
}
