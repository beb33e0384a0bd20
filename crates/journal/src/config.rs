//! The limits of a journal.

use std::time::{Instant, SystemTime};

use crate::route::RouteTemplate;

/// The limits of a [`Journal`](crate::Journal), and what it must be told beforehand.
#[derive(Debug, Clone)]
pub struct Config {
    /// Routes as the application defines them; paths that fit none are templated by inference.
    pub route_templates: Vec<RouteTemplate>,
    /// Distinct routes; the rest counts as `other`.
    pub routes_max: usize,
    /// Distinct query shapes; the rest counts as `other`.
    pub shapes_max: usize,
    /// Distinct pairs of a route and a shape; the rest is counted, but not kept.
    pub pairs_max: usize,
    /// Keys (path and query) that are followed over all routes, to tell what a cache would do; some 200 bytes each.
    pub keys_max: usize,
    /// Finished requests that can still be looked up.
    pub recent_requests_max: usize,
    /// Statements over all recent requests; the oldest requests go first. Half as many again are kept
    /// for the examples of repetitions.
    pub recent_statements_max: usize,
    /// Statements listed of one request; all are counted.
    pub statements_per_request_max: usize,
    /// Statements kept to be shown with the requests that they overlapped.
    pub overlaps_max: usize,
    /// Loads that statements can be charged to; requests beyond are counted for their route only.
    pub open_loads_max: usize,
    /// From how many executions of one shape in one request on it counts as repeated.
    pub repeat_min: u32,
    /// One moment on both clocks, for display.
    pub anchor: Anchor,
}

impl Default for Config {
    /// The default limits. Reads the clocks once, for [`Anchor::read`].
    fn default() -> Self {
        Self {
            route_templates: Vec::new(),
            routes_max: 512,
            shapes_max: 2048,
            pairs_max: 4096,
            keys_max: 16_384,
            recent_requests_max: 1024,
            recent_statements_max: 65_536,
            statements_per_request_max: 512,
            overlaps_max: 4096,
            open_loads_max: 65_536,
            repeat_min: 5,
            anchor: Anchor::read(),
        }
    }
}

/// One moment, as the monotonic clock and as the wall clock tell it.
#[derive(Debug, Clone, Copy)]
pub struct Anchor {
    /// By the monotonic clock, which all else in the journal uses.
    pub instant: Instant,
    /// By the wall clock.
    pub system: SystemTime,
}

impl Anchor {
    /// Reads both clocks.
    pub fn read() -> Self {
        Self {
            instant: Instant::now(),
            system: SystemTime::now(),
        }
    }

    /// The wall clock's time at `instant`, as if it had not been set since.
    pub fn at(&self, instant: Instant) -> SystemTime {
        let earlier = || {
            self.system
                .checked_sub(self.instant.duration_since(instant))
        };
        let time = match instant.checked_duration_since(self.instant) {
            Some(later) => self.system.checked_add(later),
            None => earlier(),
        };
        time.unwrap_or(self.system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_wall_clock_is_known_before_and_after_the_anchor() {
        let anchor = Anchor::read();
        let hour = Duration::from_secs(3600);
        assert_eq!(anchor.at(anchor.instant + hour), anchor.system + hour);
        let later = Anchor {
            instant: anchor.instant + hour,
            system: anchor.system,
        };
        assert_eq!(later.at(anchor.instant), anchor.system - hour);
    }
}
