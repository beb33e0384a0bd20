//! The open loads, and how untagged executions are shared among them.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::load::OpenLoad;
use crate::lock;
use crate::recent::Overlapping;
use crate::trace::TraceId;

/// Shards of the map of open loads: many more than there are workers.
const SHARDS: usize = 64;
/// Binary digits after the point of a load's share of time (in nanoseconds), and of executions.
const TIME_SHIFT: u32 = 20;
const COUNT_SHIFT: u32 = 32;

type Shard = HashMap<TraceId, Arc<OpenLoad>, BuildHasherDefault<TraceIdHasher>>;

/// All open loads: by trace id, and as a whole.
pub(crate) struct OpenLoads {
    max: usize,
    overlaps_max: usize,
    count: AtomicUsize,
    shards: [Mutex<Shard>; SHARDS],
    board: Mutex<Board>,
}

/// What an untagged execution notes when it begins while loads are open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    /// How many loads had ever been opened then.
    pub(crate) opened: u64,
}

/// Where the common accounts stood when a load was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Opening {
    time: u128,
    begun: u128,
    overlaps: u64,
}

/// What a load got from the common accounts between its opening and its closing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Closing {
    /// Its share of the time of untagged executions, exclusive ones included.
    pub(crate) time: Duration,
    /// Its share of the untagged executions begun, exclusive ones included.
    pub(crate) executions: f64,
    /// How many loads have ever been opened.
    pub(crate) opened: u64,
    /// Numbers of the overlapping executions that ended meanwhile.
    pub(crate) overlaps: (u64, u64),
}

/// The common accounts. With many loads open, sharing each execution out among them would cost a
/// visit to each. Instead, two sums grow by what *one* load is due, whichever it is; a load's share
/// is by how much they grew while it was open.
#[derive(Default)]
struct Board {
    open: u64,
    opened: u64,
    /// All open trace ids, exclusively or'ed: with one load open, that is its trace id.
    trace_ids: u128,
    /// Untagged executions that run, and began while a load was open.
    running: u64,
    /// Up to when `time` is right.
    at: Option<Instant>,
    time: u128,
    begun: u128,
    /// Executions that several loads may have caused, and the number of the first that is kept.
    overlaps: VecDeque<Overlapping>,
    overlaps_first: u64,
}

impl OpenLoads {
    pub(crate) fn new(max: usize, overlaps_max: usize) -> Self {
        Self {
            max,
            overlaps_max,
            count: AtomicUsize::new(0),
            shards: std::array::from_fn(|_| Mutex::default()),
            board: Mutex::default(),
        }
    }

    /// How many are open. A hint by the time it is read.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Where the accounts stand; `None` when no further load can be told apart.
    pub(crate) fn reserve(&self, trace: TraceId, now: Instant) -> Option<Opening> {
        if self.count.fetch_add(1, Ordering::AcqRel) >= self.max {
            self.count.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let mut board = lock(&self.board);
        board.advance(Some(now));
        board.open += 1;
        board.opened += 1;
        board.trace_ids ^= trace.get();
        Some(Opening {
            time: board.time,
            begun: board.begun,
            overlaps: board.overlaps_first + board.overlaps.len() as u64,
        })
    }

    pub(crate) fn insert(&self, load: Arc<OpenLoad>) {
        lock(self.shard(load.trace_id())).insert(load.trace_id(), load);
    }

    pub(crate) fn get(&self, trace: TraceId) -> Option<Arc<OpenLoad>> {
        lock(self.shard(trace)).get(&trace).cloned()
    }

    /// Ends what `reserve` and `insert` began. Without a moment, what was accounted for last stands.
    pub(crate) fn remove(&self, trace: TraceId, since: Opening, now: Option<Instant>) -> Closing {
        lock(self.shard(trace)).remove(&trace);
        let closing = {
            let mut board = lock(&self.board);
            board.advance(now);
            board.open -= 1;
            board.trace_ids ^= trace.get();
            board.closing(since)
        };
        self.count.fetch_sub(1, Ordering::AcqRel);
        closing
    }

    /// Begins an untagged execution. `None`: no load is open. Else also the load that is the only one.
    pub(crate) fn begin(&self, now: Instant) -> Option<(Ticket, Option<TraceId>)> {
        if self.count() == 0 {
            return None;
        }
        let mut board = lock(&self.board);
        board.advance(Some(now));
        if board.open == 0 {
            return None;
        }
        board.running += 1;
        board.begun += (1 << COUNT_SHIFT) / u128::from(board.open);
        let sole = (board.open == 1)
            .then(|| TraceId::new(board.trace_ids))
            .flatten();
        Some((
            Ticket {
                opened: board.opened,
            },
            sole,
        ))
    }

    /// Ends an untagged execution. True: no load was opened meanwhile.
    pub(crate) fn finish(&self, ticket: Ticket, now: Option<Instant>) -> bool {
        let mut board = lock(&self.board);
        board.advance(now);
        board.running -= 1;
        board.opened == ticket.opened
    }

    /// Keeps an overlapping execution for the requests that were open when it ended.
    pub(crate) fn keep(&self, overlapping: Overlapping) {
        let mut board = lock(&self.board);
        if self.overlaps_max == 0 {
            return;
        }
        if board.overlaps.len() >= self.overlaps_max {
            board.overlaps.pop_front();
            board.overlaps_first += 1;
        }
        board.overlaps.push_back(overlapping);
    }

    /// The overlapping executions of a range of numbers that are still kept.
    pub(crate) fn overlapping(&self, (from, to): (u64, u64)) -> Vec<Overlapping> {
        let board = lock(&self.board);
        let index = |number: u64| {
            let index = number.saturating_sub(board.overlaps_first);
            usize::try_from(index)
                .unwrap_or(usize::MAX)
                .min(board.overlaps.len())
        };
        board
            .overlaps
            .range(index(from)..index(to).max(index(from)))
            .cloned()
            .collect()
    }

    fn shard(&self, trace: TraceId) -> &Mutex<Shard> {
        &self.shards[(trace.get() >> 64) as usize % SHARDS]
    }
}

impl Board {
    /// Credits the time since the last event. Moments from different threads may be slightly out of
    /// order; time never runs backwards here.
    fn advance(&mut self, now: Option<Instant>) {
        let Some(now) = now else { return };
        let Some(at) = self.at else {
            self.at = Some(now);
            return;
        };
        let passed = now.saturating_duration_since(at);
        if self.open > 0 && self.running > 0 {
            let worked = passed.as_nanos() * u128::from(self.running);
            self.time += (worked << TIME_SHIFT) / u128::from(self.open);
        }
        self.at = Some(at.max(now));
    }

    fn closing(&self, since: Opening) -> Closing {
        let nanos = (self.time - since.time) >> TIME_SHIFT;
        let executions = (self.begun - since.begun) as f64 / (1u64 << COUNT_SHIFT) as f64;
        Closing {
            time: Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)),
            executions,
            opened: self.opened,
            overlaps: (
                since.overlaps,
                self.overlaps_first + self.overlaps.len() as u64,
            ),
        }
    }
}

/// Open trace ids are random and our own, hence their low half is as good as any hash of it. A peer
/// chooses only what it looks up, not what is stored.
#[derive(Default)]
pub(crate) struct TraceIdHasher(u64);

impl Hasher for TraceIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}
