//! The check of the Host header.
//!
//! A page in the operator's browser may point its own name at 127.0.0.1 (DNS rebinding) and then read what is served
//! here. The browser still sends the page's name as Host, so names that are not ours are refused. Addresses are never
//! the name of such a page.

use std::net::IpAddr;

use http::header::HOST;
use http::{HeaderMap, Uri};

/// Whether a request with these headers was meant for this server.
pub(crate) fn is_ours(uri: &Uri, headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let header = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    let Some(header) = header else { return false };
    // An absolute target (`GET http://host/… HTTP/1.1`) overrides the header by RFC 9112; both must be ours.
    let target_is_ours = uri
        .authority()
        .is_none_or(|target| is_our_name(target.as_str(), allowed));
    target_is_ours && is_our_name(header, allowed)
}

fn is_our_name(authority: &str, allowed: &[String]) -> bool {
    let Some(host) = without_port(authority) else {
        return false;
    };
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    matches!(name.parse(), Ok(IpAddr::V4(_))) || name == "localhost" || allowed.contains(&name)
}

/// The host of `host[:port]`, brackets kept.
fn without_port(authority: &str) -> Option<&str> {
    let bracket = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[bracket..].find(':') {
        None => Some(authority),
        Some(colon) => {
            let (host, port) = authority.split_at(bracket + colon);
            port[1..]
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(host)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_and_addresses_pass() {
        let allowed = ["paceline.internal".to_owned()];
        let rows = [
            ("127.0.0.1:9090", true),
            ("127.0.0.1", true),
            ("10.1.2.3:9090", true),
            ("localhost:9090", true),
            ("LOCALHOST", true),
            ("localhost.:9090", true),
            ("[::1]:9090", true),
            ("[::1]", true),
            ("paceline.internal:9090", true),
            ("evil.example:9090", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("user@localhost", false),
            ("localhost:9090:1", false),
            ("[evil]:9090", false),
            ("[::1", false),
            ("", false),
        ];
        for (host, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().expect("a header value"));
            assert_eq!(
                is_ours(&Uri::from_static("/"), &headers, &allowed),
                expected,
                "{host}"
            );
        }
    }

    #[test]
    fn a_missing_or_double_host_is_refused_and_the_target_counts_too() {
        let mut headers = HeaderMap::new();
        assert!(!is_ours(&Uri::from_static("/"), &headers, &[]));
        headers.append(HOST, "localhost".parse().expect("a header value"));
        assert!(is_ours(&Uri::from_static("/"), &headers, &[]));
        assert!(!is_ours(
            &Uri::from_static("http://evil.example/"),
            &headers,
            &[]
        ));
        headers.append(HOST, "localhost".parse().expect("a header value"));
        assert!(!is_ours(&Uri::from_static("/"), &headers, &[]));
    }
}
