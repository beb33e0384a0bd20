//! `/api/v1/probe`: findings of one caller's requests, and of no others. POST begins and gives the trace id that these are to
//! bear, GET says how far it is, DELETE ends it and reports.

use std::str::FromStr as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode};
use paceline_diagnose::Report;
use paceline_journal::{Journal, RequestId, Totals, TraceId};
use serde::Serialize;

use crate::respond::{self, Answer};
use crate::{Admin, reload};

pub(crate) const PATH: &str = "/api/v1/probe";

/// A prober that has not asked for so long is gone.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The probe that is under way, if one is.
#[derive(Debug, Default)]
pub(crate) struct Probing(Mutex<Option<Probe>>);

#[derive(Debug)]
struct Probe {
    caller: TraceId,
    /// What the requests of the probe have taught.
    own: Arc<Journal>,
    /// What had happened before it.
    before: Totals,
    used: Instant,
}

/// How far it is.
#[derive(Debug, Serialize)]
struct Progress {
    /// Its requests that have ended.
    requests: u64,
    /// Requests of others that have ended since it began.
    others: u64,
    /// Requests that are open now, whosever they are.
    open: u64,
    /// Statements since it began that may belong to several requests.
    shared: u64,
}

/// Whether this is for us.
pub(crate) fn is_for_us(path: &str) -> bool {
    path.strip_prefix(PATH)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers any method.
pub(crate) async fn answer<B>(admin: &Arc<Admin>, request: &Request<B>) -> Answer {
    let id = request.uri().path().strip_prefix(PATH).unwrap_or_default();
    let id = id.strip_prefix('/');
    let method = request.method();
    let changes = *method == Method::POST || *method == Method::DELETE;
    if changes && let Some(refusal) = reload::refusal(request) {
        return refusal;
    }
    match (method, id) {
        (&Method::POST, None) => begin(admin),
        (_, None) => respond::method_not_allowed("POST"),
        (&Method::GET, Some(id)) => progress(admin, id),
        (&Method::DELETE, Some(id)) => end(admin, id).await,
        (_, Some(_)) => respond::method_not_allowed("GET, DELETE"),
    }
}

fn begin(admin: &Arc<Admin>) -> Answer {
    #[derive(Serialize)]
    struct Begun {
        trace_id: String,
    }
    if admin.parts.gateway.is_none() {
        let detail = "The HTTP half does not run, so that there is nothing to probe.";
        return respond::problem(StatusCode::CONFLICT, detail);
    }
    let mut probe = admin.probing.lock();
    if probe.as_ref().is_some_and(|probe| !probe.is_abandoned()) {
        let detail = format!(
            "Another probe is under way; one that nobody asks about ends after {} s.",
            IDLE_MAX.as_secs()
        );
        return respond::problem(StatusCode::CONFLICT, &detail);
    }
    let (caller, own) = admin.parts.journal.follow();
    *probe = Some(Probe {
        caller,
        own,
        before: admin.parts.journal.totals(),
        used: Instant::now(),
    });
    tokio::task::spawn_local(end_when_abandoned(Arc::clone(admin), caller));
    let trace_id = caller.to_string();
    respond::json(StatusCode::CREATED, &Begun { trace_id })
}

fn progress(admin: &Admin, id: &str) -> Answer {
    match admin.probing.lock().as_mut() {
        Some(probe) if probe.is_called(id) => {
            probe.used = Instant::now();
            respond::json(StatusCode::OK, &probe.progress(&admin.parts.journal))
        }
        _ => unknown(),
    }
}

async fn end(admin: &Arc<Admin>, id: &str) -> Answer {
    #[derive(Serialize)]
    struct Ended {
        #[serde(flatten)]
        progress: Progress,
        report: Report,
    }
    let Some(probe) = admin.probing.take(|probe| probe.is_called(id)) else {
        return unknown();
    };
    let progress = probe.progress(&admin.parts.journal);
    admin.parts.journal.unfollow();
    match super::look(admin, probe.own).await {
        Ok(report) => respond::json(StatusCode::OK, &Ended { progress, report }),
        Err(refusal) => refusal,
    }
}

/// Whoever probes may have been stopped.
async fn end_when_abandoned(admin: Arc<Admin>, caller: TraceId) {
    loop {
        tokio::time::sleep(IDLE_MAX).await;
        let mut probe = admin.probing.lock();
        match probe.as_ref() {
            Some(known) if known.caller == caller && known.is_abandoned() => {
                *probe = None;
                admin.parts.journal.unfollow();
                return;
            }
            Some(known) if known.caller == caller => {}
            _ => return,
        }
    }
}

fn unknown() -> Answer {
    let detail = "There is no such probe; one that nobody asks about has ended.";
    respond::problem(StatusCode::NOT_FOUND, detail)
}

impl Probing {
    fn lock(&self) -> MutexGuard<'_, Option<Probe>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, is_wanted: impl FnOnce(&Probe) -> bool) -> Option<Probe> {
        self.lock().take_if(|probe| is_wanted(probe))
    }
}

impl Probe {
    fn is_called(&self, id: &str) -> bool {
        RequestId::from_str(id).is_ok_and(|id| TraceId::from(id) == self.caller)
    }

    fn is_abandoned(&self) -> bool {
        self.used.elapsed() >= IDLE_MAX
    }

    fn progress(&self, journal: &Journal) -> Progress {
        let ended = |totals: &Totals| totals.loads_finished + totals.loads_aborted;
        let (now, before) = (journal.totals(), &self.before);
        let requests = ended(&self.own.totals());
        let all = ended(&now).saturating_sub(ended(before));
        Progress {
            requests,
            others: all.saturating_sub(requests),
            open: now.loads_open,
            shared: now
                .executions_overlapping
                .saturating_sub(before.executions_overlapping),
        }
    }
}
