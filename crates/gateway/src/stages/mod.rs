//! The life of a request, as one list. Each stage is one file with one type; a stage refuses, changes the request, or
//! answers it.

mod accept;
mod deliver;
mod forward;
mod limit;
pub(crate) mod observe;
mod route;
mod upstream;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use http::{Request, Response};
use hyper::body::{Body, Incoming};

use self::accept::Accept;
use self::deliver::Deliver;
use self::forward::Forward;
pub(crate) use self::forward::Hop;
use self::limit::Limit;
use self::observe::{Observe, Record};
use self::route::Route;
use self::upstream::Upstream;
use crate::headers::Survey;
use crate::pool::Driver;
use crate::request_body::RequestBody;
use crate::respond::{self, Refusal};
use crate::response_body::ResponseBody;
use crate::watch::Watch;
use crate::worker::Worker;

/// One client connection, as its requests see it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) watch: Rc<Watch>,
    pub(crate) hop: Hop,
    /// A connection to the application on which the rest of a request is still being sent, although it is answered.
    pub(crate) unfinished: RefCell<Option<Driver>>,
}

/// Answers a request: with what the application says, or with a problem.
pub(crate) async fn answer(
    client: Rc<Client>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let mut record = Record::new(&client.worker, client.watch.request());
    let version = request.version();
    match pass(&client, request, &mut record).await {
        Ok(passed) => Deliver::body(&client, version, passed, record),
        Err(refusal) => {
            let id = record.refused(refusal);
            // The bytes are few and ready: from here on the connection waits for its next request.
            client.watch.answered(Instant::now());
            respond::problem(refusal, id)
        }
    }
}

/// The list. What is still to come has its place in it: batch and cache between limit and forward, balance in upstream,
/// projection and compression in deliver.
async fn pass(
    client: &Rc<Client>,
    request: Request<Incoming>,
    record: &mut Record,
) -> Result<deliver::Passed, Refusal> {
    let (mut head, body) = request.into_parts();
    let config = &client.worker.config;
    let survey = Survey::of(&head.headers);

    // Is it a message that a gateway may pass on at all?
    let expects = Accept::check(&mut head, &survey)?;
    // Whose trace is it part of? Linked, then cut: statements are charged to the load's own id.
    let caller = Observe::link(&mut head.headers, &survey);
    // What does the journal know it by?
    let route = Route::of(&head);
    // Is it within the bounds?
    Limit::new(config).check(&head, &survey, &body)?;
    // What belongs to the hop behind us ends here, and the hop before us learns who asked.
    Forward::new(config).prepare(&mut head, &survey, &client.hop, &body)?;
    // From here on the application works for it: the load is open.
    let trace = record.open(route, caller, &head.headers, &survey, &client.hop);
    Observe::tag(&mut head.headers, &trace);
    // A connection, the request, the first byte of the answer.
    let mut body = RequestBody::new(body, Rc::clone(&client.watch), config.body_bytes_max);
    let expectation = (expects && !body.is_end_stream()).then(|| body.wait_for_continue());
    let request = Request::from_parts(head, body);
    let answered = Upstream::new(client)
        .send(request, expectation, record)
        .await?;
    // What belongs to the hop before us ends here, too.
    Deliver::new(config).head(client, answered, &trace, record)
}
