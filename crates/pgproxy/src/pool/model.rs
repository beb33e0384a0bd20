//! The pools against a model: many steps from one seed, over several pools under shared budgets. After each step everything
//! that can be seen must be as the model says. A failing seed is named, and `PACELINE_POOL_SEED` replays it alone.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use super::tests::limits;
use super::*;

const SEEDS: u64 = 5000;
const STEPS: usize = 120;
const POOLS: usize = 3;

/// A connection, which knows where it belongs.
struct Fake {
    pool: usize,
    worker: usize,
    is_clean: bool,
    born: Instant,
    /// Connections that exist.
    count: Arc<AtomicUsize>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.count.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Pooled for Fake {
    fn is_clean(&self) -> bool {
        self.is_clean
    }
    fn worker(&self) -> usize {
        self.worker
    }
    fn settings_id(&self) -> u64 {
        0
    }
    fn born(&self) -> Instant {
        self.born
    }
}

/// What the test holds of one pool: the model of who must have what.
struct Side {
    pool: Arc<Pool<Fake>>,
    leases: Vec<Lease<Fake>>,
    places: Vec<Place<Fake>>,
    waiting: VecDeque<Ticket<Fake>>,
    is_failing: bool,
    limits: PoolLimits,
}

impl Side {
    /// A connection is being opened for somebody: it must be within all bounds.
    fn check_bounds(&self) {
        let snapshot = self.pool.snapshot(Instant::now());
        let places = snapshot.open + snapshot.opening;
        assert!(
            places <= self.limits.size + self.limits.reserve,
            "{places} places"
        );
        let is_within =
            |budget: &Arc<Budget<Fake>>| budget.limit().is_none_or(|max| budget.taken() <= max);
        assert!(self.pool.budgets.0.iter().all(is_within), "beyond a budget");
    }
}

struct World {
    random: fastrand::Rng,
    clock: Clock,
    sides: Vec<Side>,
    budgets: Vec<(Arc<Budget<Fake>>, usize)>,
    /// Connections that exist.
    exist: Arc<AtomicUsize>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let clock = Clock::stepped();
        let budgets: Vec<_> = [random.usize(2..8), random.usize(3..9)]
            .into_iter()
            .map(|max| (Budget::new(max), max))
            .collect();
        let sides = (0..POOLS).map(|index| {
            let limits = some_limits(&mut random);
            // The first two are of one database; all are under the total.
            let under: Vec<_> = budgets
                .iter()
                .skip(usize::from(index == POOLS - 1))
                .map(|(budget, _)| Arc::clone(budget))
                .collect();
            Side {
                pool: Pool::new(limits, &under, clock.clone()),
                leases: Vec::new(),
                places: Vec::new(),
                waiting: VecDeque::new(),
                is_failing: false,
                limits,
            }
        });
        Self {
            sides: sides.collect(),
            random,
            clock,
            budgets,
            exist: Arc::default(),
        }
    }

    fn fake(&mut self, pool: usize) -> Fake {
        self.exist.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Fake {
            pool,
            worker: self.random.usize(0..2),
            is_clean: true,
            born: self.clock.now() - Duration::from_millis(self.random.u64(3_570_000..3_599_000)),
            count: Arc::clone(&self.exist),
        }
    }

    /// One thing happens.
    fn step(&mut self) -> &'static str {
        let index = self.random.usize(0..POOLS);
        match self.random.u8(0..25) {
            0..=7 => self.check_out(index),
            8..=11 => self.give_back(index),
            12 => self.lose(index),
            13..=15 => self.opened(index),
            16 => self.open_failed(index),
            24 => self.put_off(index),
            17 => self.give_up(index),
            18 => {
                let ms = self.random.u64(1..2500);
                self.clock.advance(Duration::from_millis(ms));
                "time passes"
            }
            19 => {
                let now = self.clock.now();
                self.sides[index].pool.reap(now);
                "reap"
            }
            20 => {
                self.sides[index].pool.claim_reserve();
                "claim the reserve"
            }
            21 => self.refill(index),
            22 => self.change_limits(index),
            _ => self.rare(index),
        }
    }

    fn check_out(&mut self, index: usize) -> &'static str {
        let worker = self.random.usize(0..2);
        let side = &mut self.sides[index];
        let somebody_waits = !side.waiting.is_empty();
        let had_idle = side.pool.lock().idle() > 0;
        match side.pool.check_out(worker, 0) {
            Grant::Connection(lease) => {
                assert!(!somebody_waits, "a newcomer overtook the queue");
                assert!(had_idle);
                side.leases.push(lease);
            }
            Grant::Open(place) => {
                assert!(!somebody_waits, "a newcomer overtook the queue");
                assert!(!had_idle, "opened although one was idle");
                side.places.push(place);
                side.check_bounds();
            }
            Grant::Wait(ticket) => {
                assert!(somebody_waits || !had_idle, "waits although one was idle");
                side.waiting.push_back(ticket);
            }
        }
        "check out"
    }

    fn give_back(&mut self, index: usize) -> &'static str {
        let side = &mut self.sides[index];
        if !side.leases.is_empty() {
            let lease = side
                .leases
                .swap_remove(self.random.usize(0..side.leases.len()));
            drop(lease);
        }
        "give back"
    }

    fn lose(&mut self, index: usize) -> &'static str {
        let side = &mut self.sides[index];
        if let Some(mut lease) = side.leases.pop() {
            match self.random.u8(0..3) {
                0 => lease.is_clean = false,
                1 => lease.condemn(),
                _ => {
                    side.places.push(lease.into_place());
                    return "replace";
                }
            }
        }
        "lose"
    }

    fn opened(&mut self, index: usize) -> &'static str {
        if !self.sides[index].places.is_empty() {
            let fake = self.fake(index);
            let side = &mut self.sides[index];
            let place = side
                .places
                .swap_remove(self.random.usize(0..side.places.len()));
            side.leases.push(place.opened(fake));
        }
        "opened"
    }

    fn open_failed(&mut self, index: usize) -> &'static str {
        let side = &mut self.sides[index];
        side.places.pop();
        side.is_failing = self.random.bool();
        side.pool.set_failing(side.is_failing);
        "opening failed"
    }

    /// Somebody cannot open a connection at present, and waits for one that comes back.
    fn put_off(&mut self, index: usize) -> &'static str {
        let worker = self.random.usize(0..2);
        let side = &mut self.sides[index];
        if side.places.is_empty() || !side.is_failing {
            return "put nothing off";
        }
        let (somebody_waits, had_idle) = (!side.waiting.is_empty(), side.pool.lock().idle() > 0);
        match side.pool.rejoin(worker, 0, self.clock.now()) {
            Grant::Connection(lease) => {
                assert!(!somebody_waits && had_idle);
                side.leases.push(lease);
                side.places.pop();
            }
            Grant::Open(_) => panic!("it has a place"),
            Grant::Wait(ticket) => side.waiting.push_front(ticket),
        }
        "put off"
    }

    /// Somebody leaves the queue, whatever was granted meanwhile.
    fn give_up(&mut self, index: usize) -> &'static str {
        let side = &mut self.sides[index];
        if !side.waiting.is_empty() {
            let index = self.random.usize(0..side.waiting.len());
            side.waiting.remove(index);
        }
        "give up"
    }

    fn refill(&mut self, index: usize) -> &'static str {
        let side = &mut self.sides[index];
        if let Some(place) = side.pool.refill() {
            assert!(side.waiting.is_empty());
            side.places.push(place);
        }
        "refill"
    }

    fn change_limits(&mut self, index: usize) -> &'static str {
        let limits = some_limits(&mut self.random);
        let side = &mut self.sides[index];
        side.limits = limits;
        side.pool.set_limits(limits);
        "change limits"
    }

    fn rare(&mut self, index: usize) -> &'static str {
        match self.random.u8(0..3) {
            0 => self.sides[index].pool.retire(),
            1 => self.sides[index].pool.close_idle(),
            _ => {
                let which = self.random.usize(0..self.budgets.len());
                let max = self.random.usize(1..9);
                self.budgets[which].1 = max;
                self.budgets[which].0.set_limit(max);
            }
        }
        "retire, close, or change a budget"
    }

    /// Takes what was granted: it must have gone to the heads of the queues, in order.
    fn collect(&mut self) {
        for side in &mut self.sides {
            let (mut is_beyond, mut has_opened) = (false, false);
            let mut still = VecDeque::new();
            for mut ticket in side.waiting.drain(..) {
                match ticket.poll_granted(&mut Context::from_waker(Waker::noop())) {
                    Poll::Pending => {
                        is_beyond = true;
                        still.push_back(ticket);
                    }
                    Poll::Ready(grant) => {
                        assert!(!is_beyond, "the queue was overtaken");
                        match grant {
                            Grant::Connection(lease) => side.leases.push(lease),
                            Grant::Open(place) => {
                                side.places.push(place);
                                has_opened = true;
                            }
                            Grant::Wait(_) => panic!("the head of a queue is never told to wait"),
                        }
                    }
                }
            }
            side.waiting = still;
            if has_opened {
                side.check_bounds();
            }
        }
    }

    fn check(&self) {
        let now = self.clock.now();
        let mut exist = 0;
        for (index, side) in self.sides.iter().enumerate() {
            let snapshot = side.pool.snapshot(now);
            assert_eq!(snapshot.used, side.leases.len(), "used");
            assert_eq!(snapshot.opening, side.places.len(), "opening");
            assert_eq!(snapshot.waiting, side.waiting.len(), "waiting");
            assert!(side.leases.iter().all(|lease| lease.pool == index));
            exist += snapshot.open;
            if !side.waiting.is_empty() {
                assert_eq!(snapshot.idle, 0, "waits while a connection is idle");
                if self.has_room(side, &snapshot) {
                    self.check_starving(side);
                }
            }
        }
        let existing = self.exist.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(
            exist, existing,
            "a connection is lost, or closed and counted"
        );
        for (number, (budget, _)) in self.budgets.iter().enumerate() {
            let taken: usize = self
                .members(number)
                .map(|side| {
                    let snapshot = side.pool.snapshot(now);
                    snapshot.open + snapshot.opening
                })
                .sum();
            assert_eq!(budget.taken(), taken, "what a budget counts");
        }
    }

    fn members(&self, budget: usize) -> impl Iterator<Item = &Side> {
        let count = if budget == 0 { POOLS - 1 } else { POOLS };
        self.sides.iter().take(count)
    }

    /// Whether the pool itself has room. (A reserve is claimed when the client's timer says so.)
    fn has_room(&self, side: &Side, snapshot: &PoolSnapshot) -> bool {
        let opening_max = if side.is_failing {
            1
        } else {
            side.limits.opening_max
        };
        let places = snapshot.open + snapshot.opening;
        places < side.limits.size && snapshot.opening < opening_max
    }

    /// There is room in the pool, and yet somebody waits: a budget must be exhausted, by connections that are in use.
    fn check_starving(&self, side: &Side) {
        let is_exhausted = |(number, (budget, max)): &(usize, &(Arc<Budget<Fake>>, usize))| {
            budget.taken() >= *max
                && self
                    .members(*number)
                    .any(|member| std::ptr::eq(member, side))
        };
        let mut exhausted = self.budgets.iter().enumerate().filter(is_exhausted);
        let exhausted: Vec<_> = exhausted.by_ref().map(|(number, _)| number).collect();
        assert!(!exhausted.is_empty(), "waits although there is room");
        let is_under_all = |other: &&Side| {
            exhausted.iter().all(|number| {
                self.members(*number)
                    .any(|member| std::ptr::eq(member, *other))
            })
        };
        let mut others = self.sides.iter().filter(is_under_all);
        assert!(
            others.all(|other| other.pool.lock().idle() == 0),
            "waits although nobody needs what another pool has"
        );
    }

    /// Whoever leaves leaves nothing behind, and what was held is never more than is allowed, once it has come back.
    fn wind_up(mut self) {
        for _ in 0..STEPS * 4 {
            for index in 0..POOLS {
                self.sides[index].is_failing = false;
                self.sides[index].pool.set_failing(false);
                self.give_back(index);
                self.opened(index);
            }
            self.collect();
        }
        for side in &self.sides {
            assert!(side.waiting.is_empty(), "somebody is never served");
        }
        for (number, (budget, max)) in self.budgets.iter().enumerate() {
            let is_small = self.members(number).all(|side| side.limits.size > 0);
            assert!(
                is_small && budget.taken() <= *max,
                "more than the budget allows"
            );
        }
        self.clock.advance(Duration::from_secs(3600));
        for side in &self.sides {
            side.pool.reap(self.clock.now());
            assert!(side.pool.is_empty(), "a place has leaked");
        }
        assert!(self.budgets.iter().all(|(budget, _)| budget.taken() == 0));
    }
}

fn some_limits(random: &mut fastrand::Rng) -> PoolLimits {
    let size = random.usize(1..5);
    PoolLimits {
        size_min: random.usize(0..=size),
        reserve: random.usize(0..3),
        opening_max: random.usize(1..4),
        ..limits(size)
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    let mut log = Vec::new();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..STEPS {
            log.push(world.step());
            world.collect();
            world.check();
        }
    }));
    if outcome.is_err() {
        panic!("seed {seed}, step {}: {}", log.len(), log[log.len() - 1]);
    }
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.wind_up()));
    assert!(outcome.is_ok(), "seed {seed}, at the end");
}

#[test]
fn pools_do_what_the_model_says() {
    match std::env::var("PACELINE_POOL_SEED") {
        Ok(seed) => run(seed.parse().expect("a seed is a number")),
        Err(_) => (0..SEEDS).for_each(run),
    }
}
