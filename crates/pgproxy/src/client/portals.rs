//! The portals of a batch or transaction, as far as accounting needs them.

use std::sync::Arc;

use paceline_journal::TraceParent;
use paceline_sql::Values;

use super::Prepared;
use crate::slow_log::ShownParameters;

/// Portals that are remembered at once; executions of others are not accounted.
const NAMED_MAX: usize = 64;

/// What an Execute of it runs.
pub(crate) struct Portal {
    pub(crate) prepared: Arc<Prepared>,
    /// A hash of the parameters.
    pub(crate) parameters: u64,
    /// What the few of these tell that are looked at.
    pub(crate) values: Values,
    /// The trace context of the batch in which its statement was parsed and it was bound.
    pub(crate) trace: Option<TraceParent>,
    /// The settings that the parameters name, when the statement sets what they say.
    pub(crate) settings: Vec<String>,
    /// The parameters for the slow log, until it is executed.
    pub(crate) shown: Option<Box<ShownParameters>>,
    /// It was executed: what comes goes on where it was suspended.
    pub(crate) has_run: bool,
}

/// One word large for a client that never bound anything.
#[derive(Default)]
pub(crate) struct Portals(Option<Box<Open>>);

/// The unnamed portal is nearly always the only one.
#[derive(Default)]
struct Open {
    unnamed: Option<Portal>,
    named: Vec<(Box<[u8]>, Portal)>,
}

impl Portals {
    pub(crate) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Portal> {
        let open = self.0.as_mut()?;
        if name.is_empty() {
            return open.unnamed.as_mut();
        }
        let named = open.named.iter_mut().find(|(found, _)| **found == *name);
        named.map(|(_, portal)| portal)
    }

    pub(crate) fn insert(&mut self, name: &[u8], portal: Portal) {
        let open = self.0.get_or_insert_default();
        if name.is_empty() {
            open.unnamed = Some(portal);
            return;
        }
        let has_room = open.named.len() < NAMED_MAX;
        match open.named.iter_mut().find(|(found, _)| **found == *name) {
            Some((_, old)) => *old = portal,
            None if has_room => open.named.push((name.into(), portal)),
            None => {}
        }
    }

    /// The batch is over: the comment in it speaks for nothing that comes.
    pub(crate) fn end_batch(&mut self) {
        let Some(open) = &mut self.0 else {
            return;
        };
        let named = open.named.iter_mut().map(|(_, portal)| portal);
        for portal in open.unnamed.iter_mut().chain(named) {
            portal.trace = None;
        }
    }

    /// The transaction is over, and with it all portals. The unnamed one keeps its place: the next Bind fills it.
    pub(crate) fn end_transaction(&mut self) {
        if let Some(open) = &mut self.0 {
            open.named.clear();
        }
    }
}
