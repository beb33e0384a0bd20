use crate::Error;
use std::net::{SocketAddr, ToSocketAddrs};

/// The server under load: `http://host[:port][/prefix]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
    authority: String,
    prefix: String,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`Error::Target`] for anything but an `http` URL of a host, a port and a path.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Target {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        let uri: http::Uri = url
            .parse()
            .map_err(|e: http::uri::InvalidUri| refuse(&e.to_string()))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(refuse("TLS is not supported, use http://")),
            _ => return Err(refuse("it must begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse(
                "a user and password belong into an authorization header of the scenario",
            ));
        }
        if uri.query().is_some() {
            return Err(refuse("a query belongs into the scenario's paths"));
        }
        if authority.host().is_empty() {
            return Err(refuse("it names no host"));
        }
        Ok(Self {
            host: authority
                .host()
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.to_string(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// What the `Host` header says.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What stands before every path of the scenario: empty, or `/prefix` without a slash at its
    /// end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The addresses behind the name, in the resolver's order.
    pub(crate) fn resolve(&self) -> Result<Vec<SocketAddr>, Error> {
        let refuse = |reason: String| Error::Target {
            url: self.to_string(),
            reason,
        };
        let addresses: Vec<SocketAddr> = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|e| refuse(format!("its host cannot be resolved: {e}")))?
            .collect();
        if addresses.is_empty() {
            return Err(refuse("its host has no address".to_owned()));
        }
        Ok(addresses)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        let check = |url: &str, expected: Result<(&str, u16, &str), &str>| match (
            Target::parse(url),
            expected,
        ) {
            (Ok(target), Ok((host, port, prefix))) => {
                assert_eq!(
                    (target.host.as_str(), target.port, target.prefix()),
                    (host, port, prefix),
                    "{url}"
                );
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{url}: {error}"),
            (got, expected) => panic!("{url}: {got:?} instead of {expected:?}"),
        };
        check("http://127.0.0.1:3000", Ok(("127.0.0.1", 3000, "")));
        check("http://localhost/", Ok(("localhost", 80, "")));
        check("http://[::1]:81/api/v1/", Ok(("::1", 81, "/api/v1")));
        check("https://localhost", Err("TLS"));
        check("localhost:3000", Err("http://"));
        check("http://u:p@localhost", Err("authorization header"));
        check("http://localhost/?a=b", Err("scenario's paths"));
        check("http://", Err("usable URL"));
    }
}
