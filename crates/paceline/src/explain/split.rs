//! The time of a request, split: statements that run side by side count once.

use super::request::Request;

/// Milliseconds. Together they are the request's time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Split {
    /// At least one statement ran.
    pub(crate) database: f64,
    /// None ran, and at least one waited for a server connection.
    pub(crate) queue: f64,
    /// Neither: the application itself, what else it calls, the network.
    pub(crate) elsewhere: f64,
}

impl Split {
    pub(crate) fn of(request: &Request) -> Self {
        let length = request.length_ms();
        let clip = |from: f64, to: f64| (from.clamp(0.0, length), to.clamp(0.0, length));
        let runs = request.statement_list.iter();
        let runs: Vec<_> = runs.map(|run| clip(run.offset_ms, run.end_ms())).collect();
        let waits = request.statement_list.iter();
        let waits = waits.map(|run| clip(run.offset_ms - run.queued_ms, run.offset_ms));
        let database = covered(runs.clone());
        let either = covered(runs.into_iter().chain(waits).collect());
        Self {
            database,
            queue: either - database,
            elsewhere: length - either,
        }
    }
}

/// How much the intervals cover.
fn covered(mut intervals: Vec<(f64, f64)>) -> f64 {
    intervals.sort_by(|one, two| one.0.total_cmp(&two.0));
    let (mut sum, mut reached) = (0.0, 0.0_f64);
    for (from, to) in intervals {
        sum += (to - from.max(reached)).max(0.0);
        reached = reached.max(to);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_counts_once() {
        for (intervals, expected) in [
            (vec![], 0.0),
            (vec![(1.0, 3.0)], 2.0),
            (vec![(5.0, 6.0), (1.0, 3.0)], 3.0),
            (vec![(1.0, 3.0), (2.0, 4.0)], 3.0),
            (vec![(1.0, 9.0), (2.0, 4.0), (8.0, 10.0)], 9.0),
            (vec![(1.0, 1.0)], 0.0),
        ] {
            assert_eq!(covered(intervals.clone()), expected, "{intervals:?}");
        }
    }
}
