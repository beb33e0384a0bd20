//! The one place where the gateway turns an error into an answer: `application/problem+json`, RFC 9457.
//!
//! Bytes that are not HTTP at all never become a request. To those, hyper itself answers with a bare 400 or 431 and
//! closes the connection.

use std::fmt::Write;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use paceline_journal::{LoadError, RequestId};

use crate::response_body::ResponseBody;

/// Why the gateway answers itself. Texts name no address and repeat nothing that the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The request breaks a rule of HTTP that the sentence names.
    BadRequest(&'static str),
    /// `CONNECT`: this is no tunnel.
    Connect,
    /// An expectation other than `100-continue`.
    Expectation,
    /// A transfer coding other than `chunked`.
    TransferCoding,
    /// More header bytes than allowed.
    HeadersTooLarge,
    /// A longer target than allowed.
    UriTooLong,
    /// A larger body than allowed.
    BodyTooLarge,
    /// The client's body did not arrive whole.
    BodyUnreadable,
    /// The client let its head or its body stand still.
    ClientTooSlow,
    /// More clients than allowed.
    Overloaded,
    /// This process has no descriptor left for a connection to the application.
    OutOfDescriptors,
    /// No connection to the application could be opened.
    UpstreamUnreachable,
    /// Opening a connection to the application took too long.
    UpstreamConnectTimeout,
    /// The application did not begin to answer in time.
    UpstreamTimeout,
    /// The application closed the connection instead of answering.
    UpstreamClosed,
    /// What the application answered is not HTTP.
    UpstreamGarbage,
}

struct Problem {
    status: StatusCode,
    /// The last part of the problem's type.
    name: &'static str,
    title: &'static str,
    detail: &'static str,
}

type Row = (StatusCode, &'static str, &'static str, &'static str);

/// Where waiting helps.
const RETRY_AFTER_S: u32 = 1;

impl Problem {
    fn retry_after(&self) -> Option<u32> {
        (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_S)
    }
}

impl Refusal {
    /// The status that the client gets.
    pub(crate) fn status(self) -> StatusCode {
        self.problem().status
    }

    /// How the journal calls it, for a request that had a load.
    pub(crate) fn load_error(self) -> LoadError {
        match self {
            Self::UpstreamUnreachable | Self::OutOfDescriptors => LoadError::Unreachable,
            Self::UpstreamConnectTimeout => LoadError::ConnectTimeout,
            Self::UpstreamTimeout => LoadError::ResponseTimeout,
            Self::UpstreamClosed | Self::UpstreamGarbage => LoadError::UpstreamBroken,
            _ => LoadError::RequestBroken,
        }
    }

    /// Whether the rest of what the client sends cannot be told from its next request.
    fn closes(self) -> bool {
        self == Self::Overloaded || self.load_error().is_clients_fault()
    }

    fn problem(self) -> Problem {
        let (status, name, title, detail) = match self {
            Self::Overloaded
            | Self::OutOfDescriptors
            | Self::UpstreamUnreachable
            | Self::UpstreamConnectTimeout
            | Self::UpstreamTimeout
            | Self::UpstreamClosed
            | Self::UpstreamGarbage => self.not_the_requests_fault(),
            Self::HeadersTooLarge | Self::UriTooLong | Self::BodyTooLarge => self.too_large(),
            _ => self.not_understood(),
        };
        Problem {
            status,
            name,
            title,
            detail,
        }
    }

    fn not_understood(self) -> Row {
        match self {
            Self::Connect => (
                StatusCode::NOT_IMPLEMENTED,
                "connect-not-supported",
                "CONNECT is not supported",
                "This server is a gateway to one application, not a tunnel.",
            ),
            Self::TransferCoding => (
                StatusCode::NOT_IMPLEMENTED,
                "transfer-coding-unknown",
                "The transfer coding is not supported",
                "The only transfer coding that is understood is chunked, once.",
            ),
            Self::Expectation => (
                StatusCode::EXPECTATION_FAILED,
                "expectation-unknown",
                "The expectation is unknown",
                "The only expectation that is understood is 100-continue.",
            ),
            Self::ClientTooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "request-too-slow",
                "The request did not arrive in time",
                "Nothing more of the request arrived for too long.",
            ),
            Self::BadRequest(detail) => (
                StatusCode::BAD_REQUEST,
                "bad-request",
                "The request is malformed",
                detail,
            ),
            _ => (
                StatusCode::BAD_REQUEST,
                "body-unreadable",
                "The request's body could not be read",
                "The body ended early or is not framed as its headers say.",
            ),
        }
    }

    fn too_large(self) -> Row {
        match self {
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                "The request's headers are too large",
                "Send fewer or shorter header fields, cookies among them.",
            ),
            Self::UriTooLong => (
                StatusCode::URI_TOO_LONG,
                "uri-too-long",
                "The request's target is too long",
                "Send long input in the request's body instead of its query.",
            ),
            _ => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The request's body is too large",
                "The body exceeds the size that this server accepts.",
            ),
        }
    }

    fn not_the_requests_fault(self) -> Row {
        match self {
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "Too many connections",
                "This server has as many clients as it accepts. Try again shortly.",
            ),
            Self::OutOfDescriptors => (
                StatusCode::SERVICE_UNAVAILABLE,
                "out-of-descriptors",
                "Too many connections",
                "This server has as many connections as it may open. Try again shortly.",
            ),
            Self::UpstreamConnectTimeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream-connect-timeout",
                "The application could not be reached in time",
                "Opening a connection to the application took too long.",
            ),
            Self::UpstreamTimeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream-timeout",
                "The application did not answer in time",
                "The application took the request and did not begin to answer in time.",
            ),
            Self::UpstreamClosed => (
                StatusCode::BAD_GATEWAY,
                "upstream-closed",
                "The application did not answer",
                "The application closed the connection before it had answered.",
            ),
            Self::UpstreamGarbage => (
                StatusCode::BAD_GATEWAY,
                "upstream-invalid",
                "The application's answer is invalid",
                "What the application answered is not valid HTTP.",
            ),
            _ => (
                StatusCode::BAD_GATEWAY,
                "upstream-unreachable",
                "The application cannot be reached",
                "No connection to the application could be opened.",
            ),
        }
    }
}

/// The answer to a request that will not get one from the application.
pub(crate) fn problem(refusal: Refusal, id: Option<RequestId>) -> Response<ResponseBody> {
    let problem = refusal.problem();
    let mut response = Response::new(ResponseBody::from(Bytes::from(json(&problem, id))));
    *response.status_mut() = problem.status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(seconds) = problem.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.closes() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The same as bytes, for a connection on which there is no request to answer.
pub(crate) fn problem_bytes(refusal: Refusal) -> Vec<u8> {
    let problem = refusal.problem();
    let body = json(&problem, None);
    let mut head = format!(
        "HTTP/1.1 {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n",
        problem.status,
        body.len(),
    );
    if let Some(seconds) = problem.retry_after() {
        // Writing to a String cannot fail.
        let _ = write!(head, "retry-after: {seconds}\r\n");
    }
    head.push_str("\r\n");
    head.push_str(&body);
    head.into_bytes()
}

/// Every part is a constant or hexadecimal, so that nothing has to be escaped; a test reads them all back.
fn json(problem: &Problem, id: Option<RequestId>) -> String {
    let Problem {
        status,
        name,
        title,
        detail,
        ..
    } = problem;
    let mut text = format!(
        r#"{{"type":"urn:paceline:problem:{name}","title":"{title}","status":{},"detail":"{detail}""#,
        status.as_u16(),
    );
    if let Some(id) = id {
        let _ = write!(
            text,
            r#","instance":"urn:paceline:request:{id}","request_id":"{id}""#
        );
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests;
