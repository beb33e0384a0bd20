//! Makes the application's answer into ours. Compression and projection will have their place here.

use std::rc::Rc;

use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderName, HeaderValue, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};

use super::Client;
use super::observe::{Record, TraceHeader};
use super::upstream::Answered;
use crate::Config;
use crate::headers::{Survey, is_plainly_chunked, remove_hop_by_hop};
use crate::pool::Connection;
use crate::request_body::Expectation;
use crate::respond::Refusal;
use crate::response_body::{Exchange, ResponseBody};

const REQUEST_ID: HeaderName = HeaderName::from_static("paceline-request-id");

/// The stage.
#[derive(Debug)]
pub(crate) struct Deliver<'a>(&'a Config);

/// An answer that is fit to be passed on, all but its body's account.
#[derive(Debug)]
pub(crate) struct Passed {
    response: Response<Incoming>,
    connection: Connection,
    expectation: Option<Expectation>,
}

impl<'a> Deliver<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self(config)
    }

    /// Everything up to the body. `Date` stays the application's; hyper adds one where it is missing, as RFC 9110,
    /// section 6.6.1, asks.
    pub(crate) fn head(
        &self,
        client: &Client,
        answered: Answered,
        trace: &TraceHeader,
        record: &mut Record,
    ) -> Result<Passed, Refusal> {
        let Answered {
            mut response,
            connection,
            expectation,
            at,
        } = answered;
        client.watch.answering(at);
        // We passed no Upgrade on, so that there is nothing to switch to.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Refusal::UpstreamGarbage);
        }
        let headers = response.headers_mut();
        let survey = Survey::of(headers);
        record.answered(&survey, at);
        if survey.transfer_encoding {
            // Any other coding would reach the client as content, since its name goes no further.
            if !is_plainly_chunked(headers) {
                return Err(Refusal::UpstreamGarbage);
            }
            headers.remove(CONTENT_LENGTH);
        }
        if survey.hop_by_hop {
            remove_hop_by_hop(headers);
        }
        if !self.0.observe {
            headers.insert(REQUEST_ID, trace.request_id());
        }
        if expectation.as_ref().is_some_and(Expectation::answered) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        *response.version_mut() = Version::HTTP_11;
        Ok(Passed {
            response,
            connection,
            expectation,
        })
    }

    /// Ties the rest of the exchange to the body's end. `version` is the client's.
    pub(crate) fn body(
        client: &Rc<Client>,
        version: Version,
        passed: Passed,
        record: Record,
    ) -> Response<ResponseBody> {
        let Passed {
            response,
            connection,
            expectation,
        } = passed;
        let unknown = response.body().size_hint().exact().is_none();
        client
            .watch
            .ends_by_closing(unknown && version == Version::HTTP_10);
        let exchange = Exchange {
            connection: Some(connection),
            record,
            client: Rc::clone(client),
            _expectation: expectation,
        };
        response.map(|incoming| ResponseBody::streamed(incoming, exchange))
    }
}
