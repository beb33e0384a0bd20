//! Ties a request to its trace, and tells the journal how it went, however it went.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use paceline_journal::{Load, LoadError, LoadStart, Outcome, RequestId, TraceParent};

use super::Hop;
use super::route::Route;
use crate::appraise::{Appraisal, Asked, is_limited};
use crate::headers::Survey;
use crate::respond::Refusal;
use crate::stats::count;
use crate::worker::Worker;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The stage.
#[derive(Debug)]
pub(crate) struct Observe;

/// The load's `traceparent`, as bytes that its request id can be cut out of.
#[derive(Clone, Debug)]
pub(crate) struct TraceHeader(Bytes);

/// One request's account. Dropped before it is complete, it says that the client has gone.
#[derive(Debug)]
pub(crate) struct Record {
    worker: Rc<Worker>,
    started: Instant,
    load: Option<Load>,
    status: Option<u16>,
    route: Option<Route>,
    appraisal: Appraisal,
    /// Bytes of the answer's body so far.
    bytes: u64,
}

impl Observe {
    /// Takes off every field that carries a trace, and returns the caller's, if it is valid.
    ///
    /// Our load begins a new trace, and W3C Trace Context (section 3.4) has `tracestate` begin anew with it. Fields of
    /// other tracers would make the application's library follow them instead of ours. Baggage is not a trace but the
    /// application's own data, and stays.
    pub(crate) fn link(headers: &mut HeaderMap, survey: &Survey) -> Option<TraceParent> {
        if survey.propagation.is_empty() {
            return None;
        }
        let mut values = headers.get_all(TRACEPARENT).iter();
        let caller = match (values.next(), values.next()) {
            (Some(only), None) => only.to_str().ok().and_then(TraceParent::parse),
            // Two callers are none.
            _ => None,
        };
        for name in &survey.propagation {
            headers.remove(name);
        }
        caller
    }

    /// The one trace field that the application gets to see.
    pub(crate) fn tag(headers: &mut HeaderMap, trace: &TraceHeader) {
        headers.insert(TRACEPARENT, header_value(trace.0.clone()));
    }
}

impl TraceHeader {
    fn new(trace: TraceParent) -> Self {
        Self(Bytes::from(trace.to_string()))
    }

    /// The trace id is the request's name in the journal.
    pub(crate) fn request_id(&self) -> HeaderValue {
        header_value(self.0.slice(3..35))
    }
}

fn header_value(hexadecimal: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(hexadecimal).expect("hexadecimal and dashes are visible ASCII")
}

impl Record {
    pub(crate) fn new(worker: &Rc<Worker>, started: Instant) -> Self {
        count(&worker.tally.requests_total);
        Self {
            worker: Rc::clone(worker),
            started,
            load: None,
            status: None,
            route: None,
            appraisal: Appraisal::default(),
            bytes: 0,
        }
    }

    /// When the request's head was complete.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Opens the load: what the application does from now on may be done for this request.
    /// `headers` are those that the application gets.
    pub(crate) fn open(
        &mut self,
        route: Route,
        caller: Option<TraceParent>,
        headers: &HeaderMap,
        survey: &Survey,
        hop: &Hop,
    ) -> TraceHeader {
        let load = self.worker.journal.open_load(LoadStart {
            method: route.method.as_str(),
            path: route.path(),
            caller,
            now: self.started,
        });
        let trace = TraceHeader::new(load.traceparent());
        self.appraisal = self.worker.appraiser.asked(&Asked {
            method: &route.method,
            target: route.target(),
            route: load.route(),
            headers,
            said: &survey.said,
            hop,
        });
        (self.load, self.route) = (Some(load), Some(route));
        trace
    }

    pub(crate) fn connected(&self, now: Instant) {
        if let Some(load) = &self.load {
            load.upstream_connected(now);
        }
    }

    pub(crate) fn first_byte(&mut self, status: u16, now: Instant) {
        self.status = Some(status);
        if let Some(load) = &self.load {
            load.first_byte(now);
        }
    }

    /// What the answer's head says of it.
    pub(crate) fn answered(&mut self, survey: &Survey, now: Instant) {
        let query = self.route.as_ref().and_then(Route::query);
        self.worker.appraiser.answered(
            &mut self.appraisal,
            &survey.said,
            self.status.unwrap_or_default(),
            || is_limited(query),
            now,
        );
    }

    /// A piece of the answer's body passes.
    pub(crate) fn passes(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.worker.appraiser.passes(&mut self.appraisal, bytes);
    }

    /// The answer has passed whole.
    pub(crate) fn complete(&mut self, now: Instant) {
        self.end(None, now);
    }

    /// The answer broke off.
    pub(crate) fn fail(&mut self, error: LoadError, now: Instant) {
        self.end(Some(error), now);
    }

    /// The gateway answers instead. Returns the request's name, if it got as far as having one.
    pub(crate) fn refused(&mut self, refusal: Refusal) -> Option<RequestId> {
        count(&self.worker.tally.requests_refused);
        self.status = Some(refusal.status().as_u16());
        let id = self.load.as_ref().map(Load::request_id);
        self.end(Some(refusal.load_error()), Instant::now());
        id
    }

    fn end(&mut self, error: Option<LoadError>, now: Instant) {
        if let Some(load) = self.load.take() {
            let outcome = Outcome {
                status: self.status,
                error,
                response_bytes: self.bytes,
                answer: self.worker.appraiser.ended(&mut self.appraisal),
            };
            let keys_limit = load.finish(outcome, now);
            self.worker
                .appraiser
                .limit_keys(&self.appraisal, keys_limit);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.end(Some(LoadError::ClientGone), Instant::now());
        count(&self.worker.tally.requests_ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_caller_is_linked_and_no_trace_passes() {
        let other = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (lines, linked, left) in [
            (
                &[("traceparent", CALLER), ("tracestate", "a=1"), ("x", "1")][..],
                true,
                1,
            ),
            (&[("traceparent", CALLER), ("traceparent", other)], false, 0),
            (&[("traceparent", "nonsense")], false, 0),
            (
                &[("b3", "0"), ("x-b3-traceid", "1"), ("uber-trace-id", "2")],
                false,
                0,
            ),
            (
                &[("x-datadog-trace-id", "1"), ("x-amzn-trace-id", "2")],
                false,
                0,
            ),
            (&[("baggage", "user=1"), ("x-request-id", "1")], false, 2),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let survey = Survey::of(&headers);
            let caller = Observe::link(&mut headers, &survey);
            let expected = if linked {
                TraceParent::parse(CALLER)
            } else {
                None
            };
            assert_eq!(caller, expected, "{lines:?}");
            assert_eq!(headers.len(), left, "{lines:?}");
        }
    }

    #[test]
    fn the_request_id_is_the_trace_id() {
        let parent = TraceParent::parse(CALLER).unwrap();
        let id = RequestId::from(parent.trace_id).to_string();
        assert_eq!(TraceHeader::new(parent).request_id(), id.as_str());
    }
}
