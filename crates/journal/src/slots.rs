//! A bounded table that random keys cannot occupy.

use std::borrow::Borrow;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

/// Uses from which on a key is established. One more than a client that retries once.
const ESTABLISHED_USES: u64 = 3;
/// An established key that was idle for so long may lose its slot.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// The idle are looked for at most this often, because it means to look at all slots.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What a slot holds.
pub(crate) trait Entry {
    /// How often it was used.
    fn uses(&self) -> u64;
    /// When it was used last.
    fn used_at(&self) -> Instant;
    /// Whether it comes from the configuration: then it never loses its slot.
    fn is_configured(&self) -> bool {
        false
    }
}

/// At most `max` entries. A newcomer that finds all slots taken gets that of the oldest entry on
/// probation (seen less than three times), else that of an idle one, else none.
///
/// Keys that come once or twice, such as the random paths of an attack, thereby only displace each
/// other. Established keys stay as long as they are used.
pub(crate) struct Slots<K, V, S = RandomState> {
    max: usize,
    entries: HashMap<K, V, S>,
    /// In the order of admission; also holds some that have since been established.
    probation: VecDeque<K>,
    swept_at: Option<Instant>,
    evicted: u64,
}

impl<K: Clone + Eq + Hash, V: Entry, S: BuildHasher + Default> Slots<K, V, S> {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            entries: HashMap::default(),
            probation: VecDeque::new(),
            swept_at: None,
            evicted: 0,
        }
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    /// How many entries gave up their slot.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Finds a slot for a new entry, or hands it back. `retire` gets each entry that loses its slot.
    pub(crate) fn admit(
        &mut self,
        key: K,
        entry: V,
        now: Instant,
        mut retire: impl FnMut(V),
    ) -> Result<(), V> {
        if self.entries.len() >= self.max
            && !self.make_room(entry.is_configured(), now, &mut retire)
        {
            return Err(entry);
        }
        if !entry.is_configured() {
            self.probation.push_back(key.clone());
        }
        if let Some(old) = self.entries.insert(key, entry) {
            retire(old);
        }
        Ok(())
    }

    fn make_room(&mut self, configured: bool, now: Instant, retire: &mut impl FnMut(V)) -> bool {
        self.evict_on_probation(retire)
            || self.evict_idle(now, retire)
            || (configured && self.evict_longest_unused(retire))
    }

    fn evict_on_probation(&mut self, retire: &mut impl FnMut(V)) -> bool {
        while let Some(key) = self.probation.pop_front() {
            let on_probation = self
                .entries
                .get(&key)
                .is_some_and(|entry| entry.uses() < ESTABLISHED_USES);
            if on_probation {
                return self.evict(&key, retire);
            }
        }
        false
    }

    fn evict_idle(&mut self, now: Instant, retire: &mut impl FnMut(V)) -> bool {
        let recently = |at: Instant| now.saturating_duration_since(at) < SWEEP_INTERVAL;
        if self.swept_at.is_some_and(recently) {
            return false;
        }
        self.swept_at = Some(now);
        let idle: Vec<K> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.is_configured())
            .filter(|(_, entry)| now.saturating_duration_since(entry.used_at()) >= IDLE)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &idle {
            self.evict(key, retire);
        }
        !idle.is_empty()
    }

    fn evict_longest_unused(&mut self, retire: &mut impl FnMut(V)) -> bool {
        let longest = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.is_configured())
            .min_by_key(|(_, entry)| entry.used_at())
            .map(|(key, _)| key.clone());
        longest.is_some_and(|key| self.evict(&key, retire))
    }

    fn evict(&mut self, key: &K, retire: &mut impl FnMut(V)) -> bool {
        let Some(entry) = self.entries.remove(key) else {
            return false;
        };
        self.evicted += 1;
        retire(entry);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Seen {
        uses: u64,
        at: Instant,
        configured: bool,
    }

    impl Entry for Seen {
        fn uses(&self) -> u64 {
            self.uses
        }
        fn used_at(&self) -> Instant {
            self.at
        }
        fn is_configured(&self) -> bool {
            self.configured
        }
    }

    fn admit(slots: &mut Slots<u32, Seen>, key: u32, uses: u64, at: Instant) -> bool {
        slots
            .admit(
                key,
                Seen {
                    uses,
                    at,
                    configured: false,
                },
                at,
                drop,
            )
            .is_ok()
    }

    #[test]
    fn newcomers_displace_the_oldest_on_probation_and_never_the_established() {
        let start = Instant::now();
        let mut slots = Slots::<u32, Seen>::new(3);
        assert!(admit(&mut slots, 1, 3, start));
        assert!(admit(&mut slots, 2, 1, start));
        assert!(admit(&mut slots, 3, 2, start));
        assert!(admit(&mut slots, 4, 1, start));
        let mut left: Vec<_> = slots.iter().map(|(key, _)| *key).collect();
        left.sort_unstable();
        assert_eq!(left, [1, 3, 4]);
        for key in 5..1_000 {
            assert!(admit(&mut slots, key, 1, start));
        }
        assert!(slots.get(&1).is_some());
        assert_eq!(slots.iter().count(), 3);
        assert!(slots.probation.len() <= 3);
    }

    #[test]
    fn the_established_give_way_only_when_idle() {
        let start = Instant::now();
        let mut slots = Slots::<u32, Seen>::new(2);
        assert!(admit(&mut slots, 1, 9, start));
        assert!(admit(&mut slots, 2, 9, start + Duration::from_secs(60)));
        assert!(!admit(
            &mut slots,
            3,
            1,
            start + IDLE - Duration::from_secs(1)
        ));
        assert!(admit(&mut slots, 3, 1, start + IDLE));
        assert!(slots.get(&1).is_none());
        assert!(slots.get(&2).is_some());
        assert_eq!(slots.evicted(), 1);
    }

    #[test]
    fn the_configured_always_get_a_slot_and_keep_it() {
        let start = Instant::now();
        let mut slots = Slots::<u32, Seen>::new(2);
        assert!(admit(&mut slots, 1, 9, start));
        assert!(admit(&mut slots, 2, 9, start + Duration::from_secs(1)));
        let configured = || Seen {
            uses: 0,
            at: start,
            configured: true,
        };
        assert!(slots.admit(10, configured(), start, drop).is_ok());
        assert!(slots.get(&1).is_none(), "the longest unused gives way");
        assert!(slots.admit(11, configured(), start, drop).is_ok());
        assert!(slots.admit(12, configured(), start, drop).is_err());
        assert!(!admit(&mut slots, 3, 1, start + IDLE * 4));
    }
}
