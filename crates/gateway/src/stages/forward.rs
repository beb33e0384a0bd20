//! Makes a client's request into ours: its hop-by-hop fields end here, and the application learns who asked.
//!
//! `Host` stays the client's, because applications build their links from it. No `Via` is added: common servers stop
//! compressing when they see one, and the request's trace already tells that it came this way.

use std::cell::RefCell;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{FORWARDED, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version};
use hyper::body::Body;

use crate::Config;
use crate::headers::{Survey, remove_hop_by_hop};
use crate::respond::Refusal;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The stage.
#[derive(Debug)]
pub(crate) struct Forward<'a>(&'a Config);

/// The client's end of the connection, as the application is told of it. Its parts are the same for all requests on one
/// connection, and therefore made once.
#[derive(Debug)]
pub(crate) struct Hop {
    address: HeaderValue,
    /// `for=…` as RFC 7239 writes an address.
    node: String,
    /// The `Forwarded` element for the host that was asked for last.
    element: RefCell<Option<(Option<HeaderValue>, HeaderValue)>>,
}

impl<'a> Forward<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self(config)
    }

    pub(crate) fn prepare(
        &self,
        head: &mut Parts,
        survey: &Survey,
        hop: &Hop,
        body: &impl Body,
    ) -> Result<(), Refusal> {
        if survey.hop_by_hop {
            remove_hop_by_hop(&mut head.headers);
        }
        // hyper takes a GET or HEAD whose length it does not know for one without a body.
        if body.size_hint().exact().is_none() {
            head.headers
                .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if !self.0.observe {
            hop.tell(&mut head.headers, self.0.trust_forwarded);
        }
        let prefix = self.0.upstream.prefix();
        if !prefix.is_empty() && head.uri.path() != "*" {
            head.uri = prefixed(prefix, &head.uri)?;
        }
        head.version = Version::HTTP_11;
        Ok(())
    }
}

impl Hop {
    pub(crate) fn new(client: IpAddr) -> Self {
        let client = client.to_canonical();
        let node = match client {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        };
        Self {
            address: value(client.to_string()),
            node,
            element: RefCell::default(),
        }
    }

    /// The client's address, as text.
    pub(crate) fn address(&self) -> &[u8] {
        self.address.as_bytes()
    }

    /// Adds to what trusted proxies have said so far, or says it anew.
    fn tell(&self, headers: &mut HeaderMap, trusted: bool) {
        let host = headers.get(HOST).cloned();
        let element = self.element(host.as_ref());
        if trusted {
            append(headers, FORWARDED, &element);
            append(headers, X_FORWARDED_FOR, &self.address);
            if let Some(host) = host {
                headers.entry(X_FORWARDED_HOST).or_insert(host);
            }
            headers
                .entry(X_FORWARDED_PROTO)
                .or_insert(HeaderValue::from_static("http"));
            return;
        }
        headers.insert(FORWARDED, element);
        headers.insert(X_FORWARDED_FOR, self.address.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        match host {
            Some(host) => headers.insert(X_FORWARDED_HOST, host),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }

    fn element(&self, host: Option<&HeaderValue>) -> HeaderValue {
        let mut kept = self.element.borrow_mut();
        if let Some((known, element)) = &*kept
            && known.as_ref() == host
        {
            return element.clone();
        }
        let node = &self.node;
        // A host is made of harmless bytes: the first stage has seen to it.
        let text = match host
            .and_then(|host| host.to_str().ok())
            .filter(|host| !host.is_empty())
        {
            Some(host) if host.bytes().all(is_token) => format!("{node};host={host};proto=http"),
            Some(host) => format!("{node};host=\"{host}\";proto=http"),
            None => format!("{node};proto=http"),
        };
        let element = value(text);
        *kept = Some((host.cloned(), element.clone()));
        element
    }
}

/// Joins a list that may be spread over several lines with one more element.
fn append(headers: &mut HeaderMap, name: HeaderName, element: &HeaderValue) {
    let mut joined = Vec::new();
    for value in headers.get_all(&name) {
        joined.extend_from_slice(value.as_bytes());
        joined.extend_from_slice(b", ");
    }
    joined.extend_from_slice(element.as_bytes());
    let joined = HeaderValue::from_maybe_shared(Bytes::from(joined));
    headers.insert(name, joined.unwrap_or_else(|_| element.clone()));
}

fn prefixed(prefix: &str, uri: &Uri) -> Result<Uri, Refusal> {
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let slash = if target.starts_with('/') { "" } else { "/" };
    PathAndQuery::from_maybe_shared(Bytes::from(format!("{prefix}{slash}{target}")))
        .map(Uri::from)
        .map_err(|_| Refusal::UriTooLong)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text))
        .expect("addresses and valid hosts are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `name: value`, sorted, without the host.
    fn told(client: &str, trusted: bool, lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let hop = Hop::new(client.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        hop.tell(&mut headers, trusted);
        headers.remove(HOST);
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let mut lines: Vec<_> = headers.iter().map(line).collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn what_a_client_claims_is_replaced() {
        let claims = &[
            ("host", "example.org"),
            ("forwarded", "for=1.1.1.1"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-proto", "https"),
        ];
        let expected = [
            "forwarded: for=192.0.2.7;host=example.org;proto=http",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-host: example.org",
            "x-forwarded-proto: http",
        ];
        assert_eq!(told("192.0.2.7", false, claims), expected);
    }

    #[test]
    fn what_a_trusted_proxy_says_is_added_to() {
        let said = &[
            ("host", "example.org:8080"),
            ("forwarded", "for=1.1.1.1;proto=https"),
            ("forwarded", "for=2.2.2.2"),
            ("x-forwarded-for", "1.1.1.1, 2.2.2.2"),
            ("x-forwarded-host", "public.example"),
            ("x-forwarded-proto", "https"),
        ];
        let expected = [
            "forwarded: for=1.1.1.1;proto=https, for=2.2.2.2, \
             for=\"[2001:db8::1]\";host=\"example.org:8080\";proto=http",
            "x-forwarded-for: 1.1.1.1, 2.2.2.2, 2001:db8::1",
            "x-forwarded-host: public.example",
            "x-forwarded-proto: https",
        ];
        assert_eq!(told("2001:db8::1", true, said), expected);
    }

    #[test]
    fn an_address_that_is_ipv4_inside_is_shown_as_such() {
        let expected = [
            "forwarded: for=192.0.2.7;proto=http",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-proto: http",
        ];
        assert_eq!(told("::ffff:192.0.2.7", true, &[]), expected);
        assert_eq!(
            told("192.0.2.7", false, &[("x-forwarded-host", "evil")]),
            expected
        );
    }

    #[test]
    fn each_host_gets_its_own_element() {
        let hop = Hop::new("192.0.2.7".parse().unwrap());
        let element = |host| hop.element(Some(&HeaderValue::from_static(host)));
        let (a, b) = (element("a"), element("b"));
        assert_ne!(a, b);
        assert_eq!(element("a"), a);
        assert_eq!(element("b"), b);
    }

    #[test]
    fn the_prefix_comes_before_the_path() {
        for (target, expected) in [("/a?b=c", "/api/a?b=c"), ("/", "/api/"), ("/?q", "/api/?q")] {
            assert_eq!(
                prefixed("/api", &target.parse().unwrap()).unwrap(),
                expected
            );
        }
    }
}
