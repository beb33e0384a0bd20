//! What one server connection has prepared.

use std::collections::HashMap;

use crate::client::StatementId;

/// The name of a statement on one server connection. Never given twice there, so that no mistake about what exists can
/// make two texts meet under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerName(u32);

impl ServerName {
    const PREFIX: &'static [u8] = b"paceline_";
    const LEN_MAX: usize = Self::PREFIX.len() + 10;

    /// The name as it stands on the wire, written into a buffer of the caller's.
    pub(crate) fn write(self, buf: &mut NameBuf) -> &[u8] {
        buf.0[..Self::PREFIX.len()].copy_from_slice(Self::PREFIX);
        let mut at = buf.0.len();
        let mut rest = self.0;
        loop {
            at -= 1;
            buf.0[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let digits = buf.0.len() - at;
        buf.0.copy_within(at.., Self::PREFIX.len());
        &buf.0[..Self::PREFIX.len() + digits]
    }

    /// Whether a client's name could be one of these.
    pub(crate) fn is_like(name: &[u8]) -> bool {
        name.starts_with(Self::PREFIX)
    }
}

/// Room for a [`ServerName`].
#[derive(Default)]
pub(crate) struct NameBuf([u8; ServerName::LEN_MAX]);

/// The statements that a server connection has prepared: bounded, the least recently used goes first.
#[derive(Debug, Default)]
pub(crate) struct PreparedSet {
    names: HashMap<StatementId, Held, foldhash::fast::RandomState>,
    clock: u64,
    last_name: u32,
    /// To be closed when there is occasion.
    condemned: Vec<ServerName>,
    /// Prepared under settings of one transaction.
    misread: Vec<StatementId>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    name: ServerName,
    used: u64,
}

impl PreparedSet {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The statement's name here, if it is prepared.
    pub(crate) fn get(&mut self, id: StatementId) -> Option<ServerName> {
        self.clock += 1;
        let held = self.names.get_mut(&id)?;
        held.used = self.clock;
        Some(held.name)
    }

    /// A statement is being prepared: gives its name.
    pub(crate) fn insert(&mut self, id: StatementId) -> ServerName {
        let name = self.unused_name();
        self.restore(id, name);
        name
    }

    /// A name that nothing has.
    pub(crate) fn unused_name(&mut self) -> ServerName {
        self.last_name += 1;
        ServerName(self.last_name)
    }

    /// A name for something that is closed when there is occasion.
    pub(crate) fn wasted_name(&mut self) -> ServerName {
        let name = self.unused_name();
        self.condemned.push(name);
        name
    }

    /// Preparing it has failed, or has never begun.
    pub(crate) fn remove(&mut self, id: StatementId) {
        self.names.remove(&id);
    }

    /// A statement that was to be closed is still there.
    pub(crate) fn restore(&mut self, id: StatementId, name: ServerName) {
        self.clock += 1;
        self.names.insert(
            id,
            Held {
                name,
                used: self.clock,
            },
        );
    }

    /// The statement's plan is worth nothing any more: forgotten at once, closed when there is occasion.
    pub(crate) fn condemn(&mut self, id: StatementId) {
        if let Some(held) = self.names.remove(&id) {
            self.condemned.push(held.name);
        }
    }

    /// It was prepared under settings that end with the transaction.
    pub(crate) fn misread(&mut self, id: StatementId) {
        self.misread.push(id);
    }

    /// These settings have ended: what was prepared under them is prepared again when it is wanted.
    pub(crate) fn condemn_misread(&mut self) {
        for id in std::mem::take(&mut self.misread) {
            self.condemn(id);
        }
    }

    /// A condemned name, to be closed now.
    pub(crate) fn take_condemned(&mut self) -> Option<ServerName> {
        self.condemned.pop()
    }

    /// Makes room below `max`: the least recently used statement is taken out, to be closed.
    pub(crate) fn evict(&mut self, max: usize) -> Option<(StatementId, ServerName)> {
        if self.names.len() < max.max(1) {
            return None;
        }
        let (&id, held) = self.names.iter().min_by_key(|(_, held)| held.used)?;
        let name = held.name;
        self.names.remove(&id);
        Some((id, name))
    }

    /// The server has dropped all of them.
    pub(crate) fn forget_all(&mut self) {
        self.names.clear();
        self.condemned.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut set = PreparedSet::default();
        let ids = [1, 2, 3].map(StatementId);
        let names = ids.map(|id| set.insert(id));
        assert_eq!(set.evict(4), None);
        assert_eq!(set.get(ids[0]), Some(names[0]));
        assert_eq!(set.evict(3), Some((ids[1], names[1])));
        assert_eq!(set.get(ids[1]), None);
        set.restore(ids[1], names[1]);
        assert_eq!(set.get(ids[1]), Some(names[1]));
    }

    #[test]
    fn names_are_never_given_twice() {
        let mut set = PreparedSet::default();
        let first = set.insert(StatementId(1));
        set.remove(StatementId(1));
        assert_ne!(set.insert(StatementId(1)), first);
        set.condemn(StatementId(1));
        assert!(set.take_condemned().is_some());
        assert_eq!(set.get(StatementId(1)), None);
    }

    #[test]
    fn names_are_written_without_allocating() {
        let mut buf = NameBuf::default();
        assert_eq!(ServerName(7).write(&mut buf), b"paceline_7");
        assert_eq!(ServerName(u32::MAX).write(&mut buf), b"paceline_4294967295");
        assert!(ServerName::is_like(b"paceline_1") && !ServerName::is_like(b"s1"));
    }
}
