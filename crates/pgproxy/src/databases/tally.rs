//! What is counted for each target, over its life.

use std::time::{Duration, Instant};

use super::errors::Errors;
use crate::count::Count;

/// What is counted: by each worker for itself, so that none has to wait for another's cache line.
#[derive(Debug)]
pub(crate) struct Tally {
    workers: Box<[Sums]>,
    pub(crate) errors: Errors,
}

/// What one worker has counted.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Sums {
    pub(crate) logins: Count,
    pub(crate) assignments: Count,
    pub(crate) transactions: Count,
    queries: Count,
    pub(crate) from_clients: Count,
    pub(crate) from_servers: Count,
    query_us: Count,
    /// How long clients have held server connections.
    held_us: Count,
    wait_us: Count,
    client_parses: Count,
    server_parses: Count,
    binds: Count,
    prepared_hits: Count,
}

impl Tally {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| Sums::default()).collect(),
            errors: Errors::default(),
        }
    }

    /// The sums of this worker, to be added to by its thread alone.
    pub(crate) fn of(&self, worker: usize) -> &Sums {
        &self.workers[worker]
    }

    /// The sums of all workers now.
    pub(crate) fn read(&self) -> Totals {
        let totals = self.workers.iter().map(Sums::read);
        totals.fold(Totals::default(), Totals::plus)
    }
}

impl Sums {
    /// A statement has come to its end.
    pub(crate) fn count_query(&self, took: Duration) {
        self.queries.add(1);
        self.query_us.add(micros(took));
    }

    /// A client has given a server connection back.
    pub(crate) fn count_held(&self, held: Duration) {
        self.held_us.add(micros(held));
    }

    /// A client has waited for a server connection.
    pub(crate) fn count_wait(&self, waited: Duration) {
        self.wait_us.add(micros(waited));
    }

    /// What a server connection has counted by itself. To be called once for each transaction.
    pub(crate) fn add_uses(&self, uses: Uses) {
        self.client_parses.add(uses.client_parses.into());
        self.server_parses.add(uses.server_parses.into());
        self.binds.add(uses.binds.into());
        self.prepared_hits.add(uses.hits.into());
    }

    fn read(&self) -> Totals {
        Totals {
            logins: self.logins.get(),
            assignments: self.assignments.get(),
            transactions: self.transactions.get(),
            queries: self.queries.get(),
            from_clients: self.from_clients.get(),
            from_servers: self.from_servers.get(),
            query_us: self.query_us.get(),
            held_us: self.held_us.get(),
            wait_us: self.wait_us.get(),
            client_parses: self.client_parses.get(),
            server_parses: self.server_parses.get(),
            binds: self.binds.get(),
            prepared_hits: self.prepared_hits.get(),
        }
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

/// What a server connection counts of named statements, between the ends of two transactions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    pub(crate) client_parses: u32,
    pub(crate) server_parses: u32,
    pub(crate) binds: u32,
    pub(crate) hits: u32,
}

/// The sums at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) logins: u64,
    pub(crate) assignments: u64,
    pub(crate) transactions: u64,
    pub(crate) queries: u64,
    pub(crate) from_clients: u64,
    pub(crate) from_servers: u64,
    pub(crate) query_us: u64,
    pub(crate) held_us: u64,
    pub(crate) wait_us: u64,
    /// Statements that clients have given a name.
    pub(crate) client_parses: u64,
    /// Statements that were prepared on a server connection under a name.
    pub(crate) server_parses: u64,
    /// Binds of a named statement.
    pub(crate) binds: u64,
    /// How often a named statement was there already when a client wanted it.
    pub(crate) prepared_hits: u64,
}

impl Totals {
    /// The sums of both.
    pub(crate) fn plus(self, other: Self) -> Self {
        self.with(other, u64::wrapping_add)
    }

    /// What has come since.
    pub(crate) fn since(self, earlier: Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    fn with(self, other: Self, of: fn(u64, u64) -> u64) -> Self {
        Self {
            logins: of(self.logins, other.logins),
            assignments: of(self.assignments, other.assignments),
            transactions: of(self.transactions, other.transactions),
            queries: of(self.queries, other.queries),
            from_clients: of(self.from_clients, other.from_clients),
            from_servers: of(self.from_servers, other.from_servers),
            query_us: of(self.query_us, other.query_us),
            held_us: of(self.held_us, other.held_us),
            wait_us: of(self.wait_us, other.wait_us),
            client_parses: of(self.client_parses, other.client_parses),
            server_parses: of(self.server_parses, other.server_parses),
            binds: of(self.binds, other.binds),
            prepared_hits: of(self.prepared_hits, other.prepared_hits),
        }
    }
}

/// How long averages are made over.
const PERIOD: Duration = Duration::from_secs(60);

/// The last whole period, and the one that is under way.
#[derive(Debug)]
pub(crate) struct Periods {
    began: Instant,
    at_begin: Totals,
    last: Option<(Totals, Duration)>,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            at_begin: Totals::default(),
            last: None,
        }
    }
}

impl Periods {
    /// Begins another period when this one is over. To be called once a second.
    pub(crate) fn roll(&mut self, totals: Totals, now: Instant) {
        let took = now.saturating_duration_since(self.began);
        if took >= PERIOD {
            self.last = Some((totals.since(self.at_begin), took));
            (self.began, self.at_begin) = (now, totals);
        }
    }

    /// What came within the last whole period, and how long that was; before there is one, since the start.
    pub(crate) fn last(&self, totals: Totals, now: Instant) -> (Totals, Duration) {
        self.last.unwrap_or_else(|| {
            let took = now.saturating_duration_since(self.began);
            (totals.since(self.at_begin), took)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_those_of_the_last_whole_period() {
        let totals = |queries| Totals {
            queries,
            ..Totals::default()
        };
        let mut periods = Periods::default();
        let at = |seconds| periods.began + Duration::from_secs(seconds);
        let (half, whole, later) = (at(30), at(60), at(90));
        assert_eq!(
            periods.last(totals(5), half),
            (totals(5), Duration::from_secs(30))
        );
        periods.roll(totals(5), half);
        periods.roll(totals(12), whole);
        assert_eq!(periods.last(totals(50), later), (totals(12), PERIOD));
    }
}
