//! Failed logins are taken from each address at a limited rate (a token bucket), so that passwords cannot be tried out.
//!
//! One client with an old password must not lock out the others behind the same address (a sidecar's clients are all on
//! loopback): a user who has logged in from an address has a bucket of their own there, and only those who have not share one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets at most. When there are more, those that have been full the longest are forgotten, which nobody notices.
const BUCKETS_MAX: usize = 8192;
/// A user counts as known at an address for so long after a login.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// See the module.
pub(super) struct Limiter {
    buckets: Mutex<HashMap<Key, Bucket>>,
}

/// An address, and the user that is known there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    network: IpAddr,
    user: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// When it will be full again, if nothing happens.
    full_at: Instant,
    /// The last login that succeeded, of a user's bucket.
    known_until: Instant,
}

impl Limiter {
    pub(super) fn new() -> Self {
        Self {
            buckets: Mutex::default(),
        }
    }

    /// How long this user must wait at this address before the next attempt; `None` when it may be made.
    pub(super) fn delay(
        &self,
        address: IpAddr,
        user: &str,
        per_minute_max: usize,
        now: Instant,
    ) -> Option<Duration> {
        let interval = interval(per_minute_max)?;
        let buckets = self.lock();
        let key = bucket_of(&buckets, address, user, now);
        let full_at = buckets.get(&key)?.full_at;
        // It holds a minute's worth.
        let debt = full_at.saturating_duration_since(now);
        let room = Duration::from_secs(60).saturating_sub(interval);
        (debt > room).then(|| debt - room)
    }

    /// An attempt has failed.
    pub(super) fn failed(&self, address: IpAddr, user: &str, per_minute_max: usize, now: Instant) {
        let Some(interval) = interval(per_minute_max) else {
            return;
        };
        let mut buckets = self.lock();
        let key = bucket_of(&buckets, address, user, now);
        make_room(&mut buckets, now);
        let bucket = buckets.entry(key).or_insert(Bucket {
            full_at: now,
            known_until: now,
        });
        bucket.full_at = bucket.full_at.max(now) + interval;
    }

    /// An attempt has succeeded: the user is known there from now on.
    pub(super) fn succeeded(&self, address: IpAddr, user: &str, now: Instant) {
        let mut buckets = self.lock();
        let key = Key {
            network: network(address),
            user: Some(user.into()),
        };
        if !buckets.contains_key(&key) {
            make_room(&mut buckets, now);
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            full_at: now,
            known_until: now,
        });
        bucket.known_until = now + KNOWN_FOR;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn interval(per_minute_max: usize) -> Option<Duration> {
    let max = u32::try_from(per_minute_max).unwrap_or(u32::MAX);
    Duration::from_secs(60).checked_div(max)
}

fn bucket_of(buckets: &HashMap<Key, Bucket>, address: IpAddr, user: &str, now: Instant) -> Key {
    let network = network(address);
    let own = Key {
        network,
        user: Some(user.into()),
    };
    match buckets.get(&own) {
        Some(bucket) if bucket.known_until > now => own,
        _ => Key {
            network,
            user: None,
        },
    }
}

/// Forgets a quarter when there are too many: first those that are of no consequence any more.
fn make_room(buckets: &mut HashMap<Key, Bucket>, now: Instant) {
    if buckets.len() < BUCKETS_MAX {
        return;
    }
    buckets.retain(|_, bucket| bucket.full_at > now || bucket.known_until > now);
    if buckets.len() < BUCKETS_MAX {
        return;
    }
    let mut ends: Vec<Instant> = buckets.values().map(Bucket::end).collect();
    let (_, &mut median, _) = ends.select_nth_unstable(BUCKETS_MAX / 4);
    buckets.retain(|_, bucket| bucket.end() > median);
}

impl Bucket {
    fn end(&self) -> Instant {
        self.full_at.max(self.known_until)
    }
}

/// Whoever has one IPv6 address usually has the 2^64 around it as well.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        },
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_minutes_worth_of_failures_is_taken_and_then_one_per_interval() {
        let (limiter, start, here) = (Limiter::new(), Instant::now(), address("10.0.0.1"));
        for _ in 0..6 {
            assert_eq!(limiter.delay(here, "eve", 6, start), None);
            limiter.failed(here, "eve", 6, start);
        }
        let wait = limiter.delay(here, "eve", 6, start);
        assert_eq!(wait, Some(Duration::from_secs(10)));
        assert!(limiter.delay(here, "another", 6, start).is_some());
        assert_eq!(limiter.delay(address("10.0.0.2"), "eve", 6, start), None);
        let later = start + Duration::from_secs(10);
        assert_eq!(limiter.delay(here, "eve", 6, later), None);
        limiter.failed(here, "eve", 6, later);
        assert!(limiter.delay(here, "eve", 6, later).is_some());
        assert_eq!(limiter.delay(here, "eve", 0, later), None, "no limit");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (limiter, now) = (Limiter::new(), Instant::now());
        limiter.failed(address("2001:db8::1"), "eve", 1, now);
        assert!(
            limiter
                .delay(address("2001:db8::ffff:2"), "eve", 1, now)
                .is_some()
        );
        assert!(
            limiter
                .delay(address("2001:db8:0:1::1"), "eve", 1, now)
                .is_none()
        );
        limiter.failed(address("::ffff:10.0.0.1"), "eve", 1, now);
        assert!(limiter.delay(address("10.0.0.1"), "eve", 1, now).is_some());
    }

    #[test]
    fn a_user_who_has_logged_in_is_not_locked_out_by_others() {
        let (limiter, now, here) = (Limiter::new(), Instant::now(), address("127.0.0.1"));
        limiter.succeeded(here, "app", now);
        limiter.failed(here, "cron", 1, now);
        assert!(limiter.delay(here, "cron", 1, now).is_some());
        assert_eq!(limiter.delay(here, "app", 1, now), None);
        limiter.failed(here, "app", 1, now);
        assert!(limiter.delay(here, "app", 1, now).is_some());
        let later = now + KNOWN_FOR;
        assert_eq!(limiter.delay(here, "app", 1, later), None);
    }

    #[test]
    fn there_is_a_bound_and_the_worst_are_remembered() {
        let (limiter, now, worst) = (Limiter::new(), Instant::now(), address("10.9.9.9"));
        for _ in 0..50 {
            limiter.failed(worst, "eve", 10, now);
        }
        for number in 0..3 * BUCKETS_MAX {
            let number = u32::try_from(number).unwrap();
            limiter.failed(IpAddr::V4(number.into()), "eve", 10, now);
            limiter.succeeded(IpAddr::V4((!number).into()), "x", now - KNOWN_FOR);
        }
        assert!(limiter.lock().len() <= BUCKETS_MAX);
        assert!(limiter.delay(worst, "eve", 10, now).is_some());
    }
}
