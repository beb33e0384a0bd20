//! One look at all header names, for every stage that wants to know something of them.

use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::said::{Field, Said};

/// What one pass over a header section finds.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Names, values, and the four bytes that separate and end each line.
    pub(crate) bytes: usize,
    /// Some field is meant for this hop only.
    pub(crate) hop_by_hop: bool,
    pub(crate) transfer_encoding: bool,
    pub(crate) expect: bool,
    /// Fields by which tracers hand on their context. Almost always empty.
    pub(crate) propagation: Vec<HeaderName>,
    /// About content, caches and who asks.
    pub(crate) said: Said,
}

enum Class {
    EndToEnd,
    HopByHop,
    TransferEncoding,
    Expect,
    Propagation,
    Said(Field),
}

impl Survey {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut survey = Self::default();
        for (name, value) in headers {
            survey.bytes += name.as_str().len() + value.len() + 4;
            match class(name.as_str()) {
                Class::EndToEnd => {}
                Class::HopByHop => survey.hop_by_hop = true,
                Class::TransferEncoding => {
                    survey.hop_by_hop = true;
                    survey.transfer_encoding = true;
                }
                Class::Expect => survey.expect = true,
                Class::Propagation => survey.propagation.push(name.clone()),
                Class::Said(field) => survey.said.note(field, value.as_bytes()),
            }
        }
        survey.said.settle();
        survey
    }
}

/// Removes what RFC 9110, section 7.6.1, says is for one hop: the fields that it names, and those that `Connection` lists.
/// `TE: trailers` is kept, because we do pass trailers on.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in listed_in_connection(headers) {
        headers.remove(name);
    }
    let trailers = takes_trailers(headers);
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    headers.remove(UPGRADE);
    headers.remove(TE);
    headers.remove(HeaderName::from_static("keep-alive"));
    headers.remove(HeaderName::from_static("proxy-connection"));
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Whether the only transfer coding is `chunked`: all others would have to be undone before the body is passed on.
pub(crate) fn is_plainly_chunked(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(TRANSFER_ENCODING).iter();
    let first = values
        .next()
        .is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"chunked"));
    first && values.next().is_none()
}

/// The fields that `Connection` lists, apart from those without which the message would be another one: a client must
/// not be able to take off the name of the host or the length of the body.
fn listed_in_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty() && !is_plain_option(token))
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect()
}

fn is_plain_option(token: &[u8]) -> bool {
    [
        &b"close"[..],
        b"keep-alive",
        b"te",
        b"upgrade",
        b"host",
        b"content-length",
    ]
    .iter()
    .any(|option| token.eq_ignore_ascii_case(option))
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// By length first: most names are none of these, and so are told apart by one comparison.
fn class(name: &str) -> Class {
    use Field::{
        AcceptEncoding, Age, CacheControl, CacheStatus, CacheWord, ContentEncoding, ContentType,
        Credentials, Expires, SetCookie, Validator,
    };
    match (name.len(), name) {
        (..=4, "te") => Class::HopByHop,
        // Zipkin in one field; SkyWalking.
        (..=4, "b3" | "sw8") => Class::Propagation,
        (..=4, "age") => Class::Said(Age),
        (..=4, "etag") => Class::Said(Validator),
        (6 | 7, "expect") => Class::Expect,
        (6 | 7, "upgrade") => Class::HopByHop,
        (6 | 7, "cookie") => Class::Said(Credentials),
        (6 | 7, "expires") => Class::Said(Expires),
        (6 | 7, "x-cache") => Class::Said(CacheWord),
        (10 | 11, "connection" | "keep-alive") => Class::HopByHop,
        // W3C.
        (10 | 11, "traceparent" | "tracestate") => Class::Propagation,
        (10 | 11, "set-cookie") => Class::Said(SetCookie),
        (12, "content-type") => Class::Said(ContentType),
        (12, "cache-status") => Class::Said(CacheStatus),
        (13, "cache-control") => Class::Said(CacheControl),
        (13, "authorization") => Class::Said(Credentials),
        (13, "last-modified") => Class::Said(Validator),
        // Jaeger.
        (13, "uber-trace-id") => Class::Propagation,
        (14 | 15, "x-cache-status" | "cf-cache-status") => Class::Said(CacheWord),
        (14 | 15, "accept-encoding") => Class::Said(AcceptEncoding),
        // AWS.
        (14 | 15, "x-amzn-trace-id") => Class::Propagation,
        (16, "content-encoding") => Class::Said(ContentEncoding),
        (16, "proxy-connection") => Class::HopByHop,
        (17, "transfer-encoding") => Class::TransferEncoding,
        // LightStep; Google Cloud; Elastic.
        (17.., "x-ot-span-context" | "x-cloud-trace-context" | "elastic-apm-traceparent") => {
            Class::Propagation
        }
        _ if ["x-b3-", "x-datadog-", "uberctx-", "ot-tracer-"]
            .iter()
            .any(|prefix| name.starts_with(prefix)) =>
        {
            Class::Propagation
        }
        _ => Class::EndToEnd,
    }
}

#[cfg(test)]
mod tests {
    use paceline_journal::{Content, Keeping};

    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn what_is_for_one_hop_does_not_pass() {
        for (lines, left) in [
            (&[("connection", "close"), ("a", "1")][..], &["a"][..]),
            (
                &[
                    ("connection", "Keep-Alive, X-Secret"),
                    ("x-secret", "1"),
                    ("a", "1"),
                ],
                &["a"],
            ),
            (
                &[
                    ("connection", "a"),
                    ("connection", "b"),
                    ("a", "1"),
                    ("b", "2"),
                ],
                &[],
            ),
            (
                &[
                    ("connection", "host, content-length"),
                    ("host", "h"),
                    ("content-length", "0"),
                ],
                &["content-length", "host"],
            ),
            (
                &[
                    ("connection", ",, ,"),
                    ("keep-alive", "5"),
                    ("proxy-connection", "x"),
                ],
                &[],
            ),
            (&[("connection", "upgrade"), ("upgrade", "websocket")], &[]),
            (&[("upgrade", "h2c"), ("transfer-encoding", "chunked")], &[]),
            (&[("te", "gzip;q=1"), ("a", "1")], &["a"]),
            (
                &[("te", "gzip, Trailers"), ("connection", "TE")],
                &["connection", "te"],
            ),
            (&[("trailer", "x"), ("via", "1.1 a")], &["trailer", "via"]),
        ] {
            let mut headers = map(lines);
            remove_hop_by_hop(&mut headers);
            let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, left, "{lines:?}");
        }
        let mut headers = map(&[("te", "gzip, trailers")]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers[TE], "trailers");
        assert_eq!(headers[CONNECTION], "te");
    }

    #[test]
    fn one_pass_finds_all() {
        let survey = Survey::of(&map(&[
            ("host", "a"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("b3", "0"),
            ("x-b3-traceid", "1"),
            ("x-datadog-origin", "1"),
            ("baggage", "k=v"),
            ("x-b3", "not one of them"),
        ]));
        assert!(survey.hop_by_hop && survey.expect && !survey.transfer_encoding);
        let mut names: Vec<_> = survey.propagation.iter().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["b3", "x-b3-traceid", "x-datadog-origin"]);
        assert_eq!(Survey::of(&map(&[("host", "a"), ("x", "yz")])).bytes, 9 + 7);
        let said = Survey::of(&map(&[
            ("etag", "\"1\""),
            ("cookie", "a=b"),
            ("content-type", "application/json"),
            ("x-cache-status", "HIT"),
            ("expires", "Thu, 01 Dec 2044 16:00:00 GMT"),
        ]))
        .said;
        assert!(said.has_validator && said.bears_credentials && !said.is_encoded);
        assert_eq!(said.content, Content::Json);
        assert_eq!(
            (said.was_cached, said.keeping),
            (Some(true), Keeping::Fresh)
        );
    }

    #[test]
    fn only_chunked_alone_is_plain() {
        for (lines, plain) in [
            (&[("transfer-encoding", "chunked")][..], true),
            (&[("transfer-encoding", "Chunked")], true),
            (&[("transfer-encoding", "gzip, chunked")], false),
            (&[("transfer-encoding", "chunked, chunked")], false),
            (
                &[
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                false,
            ),
            (&[("transfer-encoding", "")], false),
            (&[], false),
        ] {
            assert_eq!(is_plainly_chunked(&map(lines)), plain, "{lines:?}");
        }
    }
}
