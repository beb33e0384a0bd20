//! The portals of a batch or transaction, as far as accounting needs them.

use std::sync::Arc;

use paceline_journal::TraceParent;

use super::Prepared;

/// Portals that are remembered at once; executions of others are not accounted.
const NAMED_MAX: usize = 64;

/// What an Execute of it runs.
pub(crate) struct Portal {
    pub(crate) prepared: Arc<Prepared>,
    /// A hash of the parameters.
    pub(crate) parameters: u64,
    /// The trace context of the batch in which its statement was parsed and it was bound.
    pub(crate) trace: Option<TraceParent>,
    /// The settings that the parameters name, when the statement sets what they say.
    pub(crate) settings: Vec<String>,
    /// It was executed: what comes goes on where it was suspended.
    pub(crate) has_run: bool,
}

/// The unnamed portal is nearly always the only one.
#[derive(Default)]
pub(crate) struct Portals {
    unnamed: Option<Portal>,
    named: Vec<(Box<[u8]>, Portal)>,
}

impl Portals {
    pub(crate) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Portal> {
        if name.is_empty() {
            return self.unnamed.as_mut();
        }
        let named = self.named.iter_mut().find(|(found, _)| **found == *name);
        named.map(|(_, portal)| portal)
    }

    pub(crate) fn insert(&mut self, name: &[u8], portal: Portal) {
        if name.is_empty() {
            self.unnamed = Some(portal);
            return;
        }
        let has_room = self.named.len() < NAMED_MAX;
        match self.named.iter_mut().find(|(found, _)| **found == *name) {
            Some((_, old)) => *old = portal,
            None if has_room => self.named.push((name.into(), portal)),
            None => {}
        }
    }

    /// The batch is over: the comment in it speaks for nothing that comes.
    pub(crate) fn end_batch(&mut self) {
        for portal in self
            .unnamed
            .iter_mut()
            .chain(self.named.iter_mut().map(|(_, portal)| portal))
        {
            portal.trace = None;
        }
    }

    /// The transaction is over, and with it all portals. The unnamed one keeps its place: the next Bind fills it.
    pub(crate) fn end_transaction(&mut self) {
        self.named.clear();
    }
}
