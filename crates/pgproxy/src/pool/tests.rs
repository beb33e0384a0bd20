//! The pool, stepped by hand.

use std::task::{Context, Poll, Waker};

use paceline_sql::SessionState;

use super::*;

struct Fake {
    id: u32,
    worker: usize,
    settings: u64,
    is_clean: bool,
    born: Instant,
}

impl Fake {
    fn new(id: u32) -> Self {
        Self {
            id,
            worker: 0,
            settings: 0,
            is_clean: true,
            born: Instant::now(),
        }
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
        self.settings
    }
    fn born(&self) -> Instant {
        self.born
    }
}

pub(super) fn limits(size: usize) -> PoolLimits {
    PoolLimits {
        size,
        size_min: 0,
        reserve: 0,
        reserve_after: Duration::from_secs(1),
        opening_max: 4,
        idle_timeout: Duration::from_secs(60),
        lifetime_max: Duration::from_secs(3600),
        check_after: Duration::from_secs(30),
    }
}

fn pool(size: usize) -> Arc<Pool<Fake>> {
    Pool::new(limits(size), &[], Clock::System)
}

fn open(pool: &Arc<Pool<Fake>>, fake: Fake) -> Lease<Fake> {
    match pool.check_out(0, 0) {
        Grant::Open(place) => place.opened(fake),
        _ => panic!("a place should be free"),
    }
}

fn wait(pool: &Arc<Pool<Fake>>) -> Ticket<Fake> {
    match pool.check_out(0, 0) {
        Grant::Wait(ticket) => ticket,
        _ => panic!("nothing should be free"),
    }
}

fn idle(pool: &Arc<Pool<Fake>>, worker: usize, settings: u64) -> Lease<Fake> {
    match pool.check_out(worker, settings) {
        Grant::Connection(lease) => lease,
        _ => panic!("a connection should be idle"),
    }
}

fn granted(ticket: &mut Ticket<Fake>) -> Option<Grant<Fake>> {
    match ticket.poll_granted(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(grant) => Some(grant),
        Poll::Pending => None,
    }
}

fn granted_connection(ticket: &mut Ticket<Fake>) -> Option<Lease<Fake>> {
    match granted(ticket)? {
        Grant::Connection(lease) => Some(lease),
        _ => None,
    }
}

fn numbers(pool: &Arc<Pool<Fake>>) -> (usize, usize, usize, usize, usize) {
    let snapshot = pool.snapshot(Instant::now());
    (
        snapshot.open,
        snapshot.idle,
        snapshot.used,
        snapshot.opening,
        snapshot.waiting,
    )
}

#[test]
fn a_clean_connection_is_reused_and_a_dirty_one_gives_its_place_back() {
    let pool = pool(1);
    let mut lease = open(&pool, Fake::new(7));
    assert_eq!(numbers(&pool), (1, 0, 1, 0, 0));
    drop(lease);
    assert_eq!(numbers(&pool), (1, 1, 0, 0, 0));
    lease = idle(&pool, 0, 0);
    assert_eq!(lease.id, 7);
    lease.is_clean = false;
    drop(lease);
    assert_eq!(numbers(&pool), (0, 0, 0, 0, 0));
}

#[test]
fn the_queue_is_served_in_order_and_never_overtaken() {
    let pool = pool(1);
    let lease = open(&pool, Fake::new(1));
    let (mut first, mut second) = (wait(&pool), wait(&pool));
    assert_eq!(pool.fullness().waiting, 2);
    drop(lease);
    assert!(granted(&mut second).is_none());
    let _newcomer = wait(&pool);
    let lease = granted_connection(&mut first).expect("the head of the queue gets it");
    assert!(granted(&mut second).is_none());
    drop(lease);
    assert!(granted_connection(&mut second).is_some());
}

#[test]
fn a_lost_connection_becomes_the_right_to_open_for_the_head_of_the_queue() {
    let pool = pool(1);
    let mut lease = open(&pool, Fake::new(1));
    let mut ticket = wait(&pool);
    lease.condemn();
    drop(lease);
    let Some(Grant::Open(place)) = granted(&mut ticket) else {
        panic!("a right to open")
    };
    assert_eq!(numbers(&pool), (0, 0, 0, 1, 0));
    let mut next = wait(&pool);
    drop(place);
    assert!(
        matches!(granted(&mut next), Some(Grant::Open(_))),
        "a failed opening passes the right on"
    );
}

#[test]
fn a_grant_to_somebody_who_left_goes_to_the_next() {
    let pool = pool(1);
    let lease = open(&pool, Fake::new(1));
    let (left_early, left_late, mut stays) = (wait(&pool), wait(&pool), wait(&pool));
    drop(left_early);
    assert_eq!(numbers(&pool).4, 2);
    drop(lease);
    assert!(
        granted(&mut stays).is_none(),
        "it was granted to the one before"
    );
    drop(left_late);
    assert!(granted_connection(&mut stays).is_some());
}

#[test]
fn a_burst_opens_a_few_at_once() {
    let pool = pool(10);
    let mut places: Vec<_> = (0..4)
        .map(|_| match pool.check_out(0, 0) {
            Grant::Open(place) => place,
            _ => panic!("below the limit"),
        })
        .collect();
    let mut ticket = wait(&pool);
    assert!(granted(&mut ticket).is_none());
    let _lease = places.pop().unwrap().opened(Fake::new(1));
    assert!(matches!(granted(&mut ticket), Some(Grant::Open(_))));
}

#[test]
fn own_worker_comes_first_then_own_settings_then_the_last_used() {
    let pool = pool(4);
    let fake = |id, worker, settings| Fake {
        worker,
        settings,
        ..Fake::new(id)
    };
    let leases: Vec<_> = [fake(1, 0, 5), fake(2, 0, 6), fake(3, 1, 5), fake(4, 1, 7)]
        .into_iter()
        .map(|fake| open(&pool, fake))
        .collect();
    drop(leases);
    assert_eq!(idle(&pool, 0, 5).id, 1);
    assert_eq!(idle(&pool, 1, 5).id, 3);
    assert_eq!(idle(&pool, 1, 9).id, 3, "the last one that came back");
    assert_eq!(idle(&pool, 2, 6).id, 2);
}

#[test]
fn the_old_and_the_idle_are_reaped() {
    let pool = pool(3);
    let start = Instant::now();
    let old = Fake {
        born: start - Duration::from_secs(3590),
        ..Fake::new(1)
    };
    let leases = [open(&pool, old), open(&pool, Fake::new(2))];
    drop(leases);
    assert_eq!(pool.reap(start + Duration::from_secs(1)), 0);
    assert_eq!(pool.reap(start + Duration::from_secs(11)), 1);
    assert_eq!(numbers(&pool).0, 1);
    assert_eq!(pool.reap(start + Duration::from_secs(90)), 1);
    assert_eq!(numbers(&pool).0, 0);
}

#[test]
fn a_shorter_life_holds_for_those_that_are_there() {
    let pool = pool(2);
    let middle_aged = || Fake {
        born: Instant::now() - Duration::from_secs(600),
        ..Fake::new(1)
    };
    let leases = [open(&pool, middle_aged()), open(&pool, middle_aged())];
    let [idle, used] = leases;
    drop(idle);
    pool.set_limits(PoolLimits {
        lifetime_max: Duration::from_secs(60),
        ..limits(2)
    });
    assert_eq!(pool.reap(Instant::now()), 1);
    drop(used);
    assert_eq!(numbers(&pool).0, 0, "it is closed as it comes back");
}

#[test]
fn pins_are_counted_until_they_end() {
    let pool = pool(1);
    let mut lease = open(&pool, Fake::new(1));
    let state = SessionState::CURSOR | SessionState::LISTEN;
    assert!(lease.pin(state));
    assert!(!lease.pin(state));
    let now = || pool.snapshot(Instant::now()).pins.map(|(_, count)| count);
    assert_eq!(pool.snapshot(Instant::now()).pinned, 1);
    assert_eq!(now(), [0, 0, 1, 0, 1, 0, 0]);
    assert!(!lease.pin(SessionState::LISTEN));
    assert_eq!(now(), [0, 0, 0, 0, 1, 0, 0]);
    assert!(!lease.pin(SessionState::NOTHING));
    assert_eq!(pool.snapshot(Instant::now()).pinned, 0);
    assert!(lease.pin(SessionState::CURSOR));
    let pins = pool.snapshot(Instant::now()).pins_total;
    assert_eq!(pins.map(|(_, count)| count), [0, 0, 2, 0, 1, 0, 0]);
    drop(lease);
    assert_eq!(now(), [0; 7]);
    assert_eq!(pool.snapshot(Instant::now()).pinned, 0);
    assert_eq!(
        numbers(&pool).0,
        0,
        "a pinned connection is closed at the end"
    );
}
