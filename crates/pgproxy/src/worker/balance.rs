//! How busy each worker is, and who should give clients away.
//!
//! A client that has just connected goes to the worker with the fewest clients. That says nothing of how busy they will
//! be; once a second the workers' transactions are compared, and the busiest is asked to shed clients. A session obeys
//! between two transactions, so that busy ones, which come by there most often, go first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::count::Count;

/// Workers that differ by fewer transactions per second than this are left alone.
const DIFFERENCE_MIN: u64 = 100;

/// All workers' numbers.
#[derive(Debug)]
pub(crate) struct Workers {
    loads: Box<[Load]>,
    /// Counts the rounds of the rebalancer, so that sessions can tell whether they were counted in this one.
    round: AtomicU64,
}

/// On cache lines of its own: what one worker counts must not slow the others.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Load {
    clients: AtomicUsize,
    transactions: Count,
    from_clients: Count,
    from_servers: Count,
    /// Sessions with a transaction in this round.
    busy: AtomicUsize,
    /// Clients that are to go, and where to.
    shed: AtomicUsize,
    shed_to: AtomicUsize,
}

/// One client's place at a worker; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    workers: Arc<Workers>,
    worker: usize,
    /// The last round in which the session was counted as busy.
    round: u64,
}

impl Workers {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let loads = (0..count).map(|_| Load::default()).collect();
        Arc::new(Self {
            loads,
            round: AtomicU64::new(1),
        })
    }

    /// A seat at the worker with the fewest clients, preferably at `home`.
    pub(crate) fn seat(self: &Arc<Self>, home: usize) -> Seat {
        let fewest = (0..self.loads.len())
            .min_by_key(|&worker| (self.clients(worker), worker != home))
            .unwrap_or(home);
        self.seat_at(fewest)
    }

    fn seat_at(self: &Arc<Self>, worker: usize) -> Seat {
        self.loads[worker].clients.fetch_add(1, Relaxed);
        Seat {
            workers: Arc::clone(self),
            worker,
            round: 0,
        }
    }

    /// Clients at this worker.
    pub(crate) fn clients(&self, worker: usize) -> usize {
        self.loads[worker].clients.load(Relaxed)
    }

    /// Clients at all workers.
    pub(crate) fn clients_total(&self) -> usize {
        (0..self.loads.len())
            .map(|worker| self.clients(worker))
            .sum()
    }

    pub(crate) fn count(&self) -> usize {
        self.loads.len()
    }

    /// Transactions of all workers so far.
    pub(crate) fn transactions_total(&self) -> u64 {
        self.loads.iter().map(|load| load.transactions.get()).sum()
    }

    /// Bytes that came from the clients of this worker. To be called by its thread.
    pub(crate) fn count_from_clients(&self, worker: usize, bytes: usize) {
        self.loads[worker].from_clients.add(bytes as u64);
    }

    /// The same for its server connections.
    pub(crate) fn count_from_servers(&self, worker: usize, bytes: usize) {
        self.loads[worker].from_servers.add(bytes as u64);
    }

    /// Bytes that have come so far, from clients and from servers.
    pub(crate) fn bytes_total(&self) -> (u64, u64) {
        self.loads.iter().fold((0, 0), |(clients, servers), load| {
            (
                clients + load.from_clients.get(),
                servers + load.from_servers.get(),
            )
        })
    }

    /// To be called once a second by one worker, with the transactions of the round before.
    pub(crate) fn balance(&self, seen: &mut Vec<u64>) {
        let now: Vec<u64> = self
            .loads
            .iter()
            .map(|load| load.transactions.get())
            .collect();
        seen.resize(now.len(), 0);
        let rates: Vec<u64> = now
            .iter()
            .zip(&*seen)
            .map(|(now, then)| now - then)
            .collect();
        *seen = now;
        let busy: Vec<usize> = self
            .loads
            .iter()
            .map(|load| load.busy.swap(0, Relaxed))
            .collect();
        self.round.fetch_add(1, Relaxed);
        // What was not obeyed in time was decided on old numbers.
        self.loads
            .iter()
            .for_each(|load| load.shed.store(0, Relaxed));
        if let Some(Move { from, to, count }) = decide(&rates, &busy) {
            tracing::debug!(from, to, count, "Asking a worker to shed clients.");
            self.loads[from].shed_to.store(to, Relaxed);
            self.loads[from].shed.store(count, Relaxed);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Move {
    from: usize,
    to: usize,
    count: usize,
}

/// From the busiest to the least busy, as many of the busiest's average clients as make both equal.
fn decide(rates: &[u64], busy: &[usize]) -> Option<Move> {
    let (from, &highest) = rates.iter().enumerate().max_by_key(|(_, rate)| **rate)?;
    let (to, &lowest) = rates.iter().enumerate().min_by_key(|(_, rate)| **rate)?;
    let difference = highest - lowest;
    // A quarter more is noise, and a client that is alone cannot be divided.
    if difference < DIFFERENCE_MIN || difference * 4 < highest || busy[from] < 2 {
        return None;
    }
    let average = highest / busy[from] as u64;
    let count = (difference / 2) / average.max(1);
    // Moving one improves matters as long as the difference is more than that one.
    let count = if count == 0 && difference > average {
        1
    } else {
        count as usize
    };
    (count > 0).then(|| Move {
        from,
        to,
        count: count.min(busy[from] - 1),
    })
}

impl Seat {
    pub(crate) fn worker(&self) -> usize {
        self.worker
    }

    /// The session has ended a transaction.
    pub(crate) fn count_transaction(&mut self) {
        let load = &self.workers.loads[self.worker];
        load.transactions.add(1);
        let round = self.workers.round.load(Relaxed);
        if self.round != round {
            self.round = round;
            load.busy.fetch_add(1, Relaxed);
        }
    }

    /// Whether this client is to go: a seat at the worker that it is to go to.
    pub(crate) fn shed(&self) -> Option<Seat> {
        let load = &self.workers.loads[self.worker];
        if load.shed.load(Relaxed) == 0 {
            return None;
        }
        load.shed
            .fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1))
            .ok()?;
        let to = load.shed_to.load(Relaxed);
        Some(self.workers.seat_at(to))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.workers.loads[self.worker]
            .clients
            .fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newcomers_go_to_the_emptiest_worker() {
        let workers = Workers::new(3);
        let seats: Vec<_> = (0..7).map(|_| workers.seat(1)).collect();
        assert_eq!(seats[0].worker(), 1);
        assert_eq!([0, 1, 2].map(|worker| workers.clients(worker)), [2, 3, 2]);
        drop(seats);
        assert_eq!(workers.clients_total(), 0);
    }

    #[test]
    fn only_a_real_difference_moves_clients() {
        let check = |rates: &[u64], busy: &[usize], expected: Option<(usize, usize, usize)>| {
            let expected = expected.map(|(from, to, count)| Move { from, to, count });
            assert_eq!(decide(rates, busy), expected, "{rates:?} {busy:?}");
        };
        check(&[8000, 0], &[8, 0], Some((0, 1, 4)));
        check(&[0, 0, 9000], &[0, 0, 3], Some((2, 0, 1)));
        check(&[5000, 4500], &[5, 5], None);
        check(&[5000, 0], &[1, 0], None);
        check(&[60, 0], &[6, 0], None);
        check(&[3000, 2000], &[3, 2], None);
        check(&[2000, 500], &[2, 1], Some((0, 1, 1)));
    }

    #[test]
    fn the_right_number_of_sessions_obeys() {
        let workers = Workers::new(2);
        let mut seats: Vec<_> = (0..8).map(|_| workers.seat_at(0)).collect();
        let mut seen = Vec::new();
        for seat in &mut seats {
            (0..1000).for_each(|_| seat.count_transaction());
        }
        workers.balance(&mut seen);
        let moved: Vec<_> = seats.iter().filter_map(Seat::shed).collect();
        assert_eq!(moved.len(), 4);
        assert!(moved.iter().all(|seat| seat.worker() == 1));
    }
}
