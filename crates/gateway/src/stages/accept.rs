//! Refuses what HTTP says must not be passed on, so that all later stages, and the application, can rely on it.

use http::header::{EXPECT, HOST};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri, Version};

use crate::headers::{Survey, is_plainly_chunked};
use crate::respond::Refusal;

/// The stage.
#[derive(Debug)]
pub(crate) struct Accept;

impl Accept {
    /// Checks target, host, framing and expectation, and brings the target into origin form. Returns whether the
    /// client waits for `100 Continue` before it sends the body.
    pub(crate) fn check(head: &mut Parts, survey: &Survey) -> Result<bool, Refusal> {
        if head.method == Method::CONNECT {
            return Err(Refusal::Connect);
        }
        if survey.transfer_encoding && !is_plainly_chunked(&head.headers) {
            return Err(Refusal::TransferCoding);
        }
        origin_form(head)?;
        check_host(head)?;
        if survey.expect {
            expects_continue(head)
        } else {
            Ok(false)
        }
    }
}

/// A target in absolute form decides over `Host` (RFC 9112, section 3.2.2): nobody behind us should see two truths.
fn origin_form(head: &mut Parts) -> Result<(), Refusal> {
    let Some(authority) = head.uri.authority() else {
        return Ok(());
    };
    if head.uri.scheme().is_none() {
        return Err(Refusal::BadRequest(
            "The target of a request is a path that begins with a slash.",
        ));
    }
    if authority.as_str().contains('@') {
        return Err(Refusal::BadRequest(
            "The target names a user, which HTTP does not allow.",
        ));
    }
    let host = HeaderValue::from_str(authority.as_str())
        .map_err(|_| Refusal::BadRequest("The target's host is not valid."))?;
    head.headers.insert(HOST, host);
    let path = head.uri.path_and_query().cloned();
    head.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    Ok(())
}

fn check_host(head: &Parts) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(Refusal::BadRequest("There is more than one Host field.")),
        (None, _) if head.version == Version::HTTP_10 => Ok(()),
        (None, _) => Err(Refusal::BadRequest("The Host field is missing.")),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(Refusal::BadRequest("The Host field is not a host.")),
    }
}

/// The bytes that RFC 3986 allows in host and port. Whether they make sense is for the application to say.
fn is_host(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte))
}

fn expects_continue(head: &mut Parts) -> Result<bool, Refusal> {
    let known = head
        .headers
        .get_all(EXPECT)
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    match (known, head.version) {
        // "MUST ignore that expectation" (RFC 9110, section 10.1.1).
        (_, Version::HTTP_10) => {
            head.headers.remove(EXPECT);
            Ok(false)
        }
        (true, _) => Ok(true),
        (false, _) => Err(Refusal::Expectation),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn check(version: Version, target: &str, lines: &[(&str, &str)]) -> Result<Parts, Refusal> {
        let mut request = Request::builder().version(version).uri(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let survey = Survey::of(&head.headers);
        Accept::check(&mut head, &survey).map(|_| head)
    }

    #[test]
    fn a_request_has_one_valid_host() {
        for (version, hosts, accepted) in [
            (Version::HTTP_11, &["example.org"][..], true),
            (Version::HTTP_11, &["example.org:8080"], true),
            (Version::HTTP_11, &["[::1]:80"], true),
            (Version::HTTP_11, &[""], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_11, &["a", "b"], false),
            (Version::HTTP_10, &["a", "a"], false),
            (Version::HTTP_11, &["a/b"], false),
            (Version::HTTP_11, &["a b"], false),
            (Version::HTTP_11, &["a,b"], false),
            (Version::HTTP_11, &["u@a"], false),
            (Version::HTTP_11, &["a?b"], false),
            (Version::HTTP_11, &["a\\b"], false),
        ] {
            let lines: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            assert_eq!(
                check(version, "/", &lines).is_ok(),
                accepted,
                "{version:?} {hosts:?}"
            );
        }
    }

    #[test]
    fn the_absolute_form_decides_over_the_host() {
        for (target, path) in [
            ("http://real.example/a?b=c", "/a?b=c"),
            ("http://real.example", "/"),
            ("http://real.example?b", "/?b"),
        ] {
            let head = check(Version::HTTP_11, target, &[("host", "other")]).unwrap();
            assert_eq!(head.uri, path, "{target}");
            assert_eq!(head.headers[HOST], "real.example");
        }
        assert!(
            check(
                Version::HTTP_11,
                "http://u:p@real.example/",
                &[("host", "other")]
            )
            .is_err()
        );
        assert!(check(Version::HTTP_11, "real.example:80", &[("host", "other")]).is_err());
    }

    #[test]
    fn framing_and_expectation_are_understood_or_refused() {
        let refusal =
            |line: (&str, &str)| check(Version::HTTP_11, "/", &[("host", "a"), line]).err();
        assert_eq!(refusal(("transfer-encoding", "chunked")), None);
        assert_eq!(
            refusal(("transfer-encoding", "gzip, chunked")),
            Some(Refusal::TransferCoding)
        );
        assert_eq!(refusal(("expect", "100-Continue")), None);
        assert_eq!(refusal(("expect", "200-ok")), Some(Refusal::Expectation));
    }
}
