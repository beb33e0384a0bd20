//! The requests of one caller, in a journal of their own beside the common one.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::config::Config;
use crate::journal::Journal;
use crate::lock;
use crate::route::Finished;
use crate::trace::{TraceId, TraceParent};

/// Whose requests are followed, if anybody's are.
#[derive(Default)]
pub(crate) struct Followed {
    /// Whether it is worth looking further: a request that ends while nobody is followed reads this and no more.
    is_on: AtomicBool,
    caller: Mutex<Option<(TraceId, Arc<Journal>)>>,
}

impl Journal {
    /// From now on, requests whose caller sends this trace id, which nobody can know yet, are also recorded in a journal of
    /// their own. It replaces the one that was followed before. A request that overlaps others has there what is surely its own.
    pub fn follow(&self) -> (TraceId, Arc<Self>) {
        let caller = TraceParent::fresh().trace_id;
        let own = Self::new(Config {
            anchor: self.config.anchor,
            ..Config::default()
        });
        *lock(&self.followed.caller) = Some((caller, Arc::clone(&own)));
        self.followed.is_on.store(true, Ordering::Release);
        (caller, own)
    }

    /// Follows nobody any more.
    pub fn unfollow(&self) {
        self.followed.is_on.store(false, Ordering::Release);
        *lock(&self.followed.caller) = None;
    }

    /// The journal in which the requests of this caller are recorded too.
    pub(crate) fn followed(&self, caller: Option<TraceId>) -> Option<Arc<Self>> {
        if !self.followed.is_on.load(Ordering::Acquire) {
            return None;
        }
        let followed = lock(&self.followed.caller);
        let (wanted, own) = followed.as_ref()?;
        (caller == Some(*wanted)).then(|| Arc::clone(own))
    }

    /// Records a request that another journal has accounted for. Its executions were recorded as they ended.
    pub(crate) fn adopt(&self, finished: &Finished<'_>, is_configured: bool) {
        self.counters.loads_opened.add(1);
        let _ = self.record_request(finished, is_configured);
        match finished.kept.record.summary.duration {
            Some(_) => self.counters.loads_finished.add(1),
            None => self.counters.loads_aborted.add(1),
        }
    }
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_on = self.is_on.load(Ordering::Relaxed);
        f.debug_struct("Followed").field("is_on", &is_on).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use paceline_sql::{Limits, Statements, Values};

    use super::*;
    use crate::execution::{ConnectionId, StatementEnd, StatementStart};
    use crate::load::{LoadStart, Outcome};

    const THEIRS: &str = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01";

    fn ask(journal: &Arc<Journal>, caller: Option<String>, path: &str) {
        let statements = Statements::new(Limits::default());
        let shape = statements.learn("SELECT * FROM jobs WHERE id = 7").shape;
        let now = Instant::now();
        let load = journal.open_load(LoadStart {
            method: "GET",
            path,
            caller: caller.as_deref().and_then(TraceParent::parse),
            now,
        });
        for parameters in 0..6 {
            let execution = journal.begin(StatementStart {
                connection: ConnectionId(1),
                shape: &shape,
                trace: None,
                parameters,
                values: Values::default(),
                queued: Duration::ZERO,
                now,
            });
            execution.finish(StatementEnd::default(), now + Duration::from_millis(1));
        }
        load.finish(Outcome::default(), now + Duration::from_millis(9));
    }

    /// The header of somebody who bears this trace id.
    fn sent(caller: TraceId) -> Option<String> {
        Some(format!("00-{caller}-b7ad6b7169203331-01"))
    }

    #[test]
    fn only_the_requests_of_the_caller_are_followed_and_only_while_they_are() {
        let journal = Journal::new(Config::default());
        let (caller, own) = journal.follow();
        ask(&journal, sent(caller), "/jobs");
        ask(&journal, Some(THEIRS.to_owned()), "/others");
        ask(&journal, None, "/nobodys");
        journal.unfollow();
        ask(&journal, sent(caller), "/late");

        let routes = |journal: &Journal| {
            let routes = journal.routes();
            let seen = routes.iter().filter(|route| route.requests > 0);
            seen.map(|route| route.route.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(routes(&own), ["GET /jobs"]);
        assert_eq!(routes(&journal).len(), 4);
        let totals = own.totals();
        assert_eq!((totals.loads_finished, totals.loads_open), (1, 0));
        assert_eq!((totals.executions, totals.executions_failed), (6, 0));
        let repeated = own.repetitions();
        assert_eq!(repeated.len(), 1);
        assert_eq!(&*repeated[0].route, "GET /jobs");
        let request = own.request(&own.recent()[0].id).expect("it is recent");
        assert_eq!(request.statements.len(), 6);
    }

    #[test]
    fn the_next_caller_replaces_the_one_before() {
        let journal = Journal::new(Config::default());
        let (early, first) = journal.follow();
        let (late, second) = journal.follow();
        assert_ne!(early, late);
        ask(&journal, sent(early), "/a");
        ask(&journal, sent(late), "/b");
        assert_eq!(first.totals().loads_opened, 0);
        assert_eq!(second.totals().loads_opened, 1);
    }
}
