//! The memory of a process grows without end.

use crate::finding::{Effort, Finding, Gain, Severity, Subject, SubjectKind};
use crate::rule::{Check, ProcessSeen, Rule};
use paceline_watch::{Growth, Memory};

pub(super) const RULE: Rule = Rule {
    name: "memory-grows",
    about: "A process takes more and more memory under a steady load: a leak.",
    check: Check::Process(findings),
};

/// Memory that doubles within a night wakes somebody up; within a week it does so before the next release.
const DOUBLES_HIGH_H: f64 = 12.0;
const DOUBLES_MEDIUM_H: f64 = 7.0 * 24.0;

fn findings(seen: &ProcessSeen<'_>) -> Vec<Finding> {
    finding(seen).into_iter().collect()
}

fn finding(seen: &ProcessSeen<'_>) -> Option<Finding> {
    let watched = seen.watched;
    if watched.memory != Memory::Leak {
        return None;
    }
    let Growth { value, low, high } = watched.growth_mib_per_h?;
    let (first, last) = (watched.memory_mib_first, watched.memory_mib_last);
    // Both at their most harmless.
    let doubles_h = last / low.max(f64::MIN_POSITIVE);
    let severity = if doubles_h <= DOUBLES_HIGH_H {
        Severity::High
    } else if doubles_h <= DOUBLES_MEDIUM_H {
        Severity::Medium
    } else {
        Severity::Low
    };
    let title = format!("{} takes {value:.0} MiB more each hour.", seen.name);
    let per_request = seen.rate.filter(|rate| *rate > 0.0);
    let bytes_per_request = per_request.map(|rate| value * 1_048_576.0 / 3_600.0 / rate);
    let mut finding = Finding::new(RULE.name, Subject::new(SubjectKind::Process, seen.name), severity, title)
        .fact("growth_mib_per_h", value)
        .fact("growth_low_mib_per_h", low)
        .fact("growth_high_mib_per_h", high)
        .fact("memory_first_mib", first)
        .fact("memory_last_mib", last)
        .fact("samples", watched.samples)
        .detail("Seen", format!("from {first:.0} to {last:.0} MiB, still growing at the end; {low:.0} to {high:.0} MiB/h with 95 % confidence"))
        .detail("Then", format!("it has doubled after {doubles_h:.1} h, counted with the slower end"))
        .remedy(Effort::Medium, "Find what keeps what it should let go: compare two heap profiles taken some minutes apart under this load (Python tracemalloc, Node --inspect heap snapshots, jemalloc or heaptrack for native code, Go pprof), and look for caches without a bound, listeners that are never removed, and lists that only grow. Until then, restart the process before its limit.")
        .gain(Gain::text("the process is not killed when its memory is used up"));
    if let Some(bytes) = bytes_per_request {
        finding = finding.fact("growth_bytes_per_request", bytes).detail(
            "Each",
            format!("{bytes:.0} bytes for each request, if requests are what it grows with"),
        );
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use crate::rule::Material;
    use paceline_watch::Watched;

    fn watched(memory: Memory, low: f64) -> Watched {
        Watched {
            pid: 7,
            cpu_s: 1.0,
            cpu_ms_per_request: None,
            memory_mib_first: 90.0,
            memory_mib_last: 100.0,
            memory_mib_max: 100.0,
            growth_mib_per_h: Some(Growth {
                value: low * 1.1,
                low,
                high: low * 1.2,
            }),
            memory,
            samples: 240,
            ended: false,
        }
    }

    fn found(watched: &Watched) -> Vec<Finding> {
        let process = ProcessSeen {
            name: "gunicorn",
            watched,
            rate: Some(10.0),
        };
        let material = Material {
            process: Some(&process),
            ..Material::default()
        };
        Report::of(&material).findings
    }

    #[test]
    fn fires_and_near_misses() {
        let rows = [
            (
                "doubles in an hour",
                Memory::Leak,
                100.0,
                Some(Severity::High),
            ),
            ("in 12.5 h", Memory::Leak, 8.0, Some(Severity::Medium)),
            ("in a month", Memory::Leak, 0.14, Some(Severity::Low)),
            ("stable, whatever the slope", Memory::Stable, 100.0, None),
            (
                "the load was not steady",
                Memory::NotEnoughData,
                100.0,
                None,
            ),
        ];
        for (what, memory, low, expected) in rows {
            let found = found(&watched(memory, low));
            let severities: Vec<_> = found.iter().map(|one| one.severity).collect();
            assert_eq!(
                severities,
                expected.into_iter().collect::<Vec<_>>(),
                "{what}"
            );
        }
        let unknown = Watched {
            growth_mib_per_h: None,
            ..watched(Memory::Leak, 1.0)
        };
        assert!(found(&unknown).is_empty());
    }

    #[test]
    fn what_each_request_leaves_behind_is_told() {
        let found = found(&watched(
            Memory::Leak,
            36_000.0 / 1.1 / 1_048_576.0 * 1_000.0,
        ));
        let bytes = found[0].evidence.get("growth_bytes_per_request");
        let bytes = bytes.and_then(serde_json::Value::as_f64).expect("a number");
        assert!((bytes - 1_000.0).abs() < 1e-6, "{bytes}");
        assert_eq!(found[0].subject.name, "gunicorn");
    }
}
