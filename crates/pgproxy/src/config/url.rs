//! Where a database is: the URL.

use std::fmt;

use super::tls::{Options, ServerTls};

/// Where the database is and who we are there: `postgres://user:password@host:port/database`.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// The role.
    pub user: String,
    /// Whether the URL names the role. If so, all clients of the database share it; else each client's own user is the
    /// role on the server.
    pub names_user: bool,
    /// Its password, when it has one.
    pub password: Option<String>,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Further hosts, which are tried when those before them cannot be used.
    pub also: Vec<(String, u16)>,
    /// Which of the hosts may be used.
    pub session_attrs: SessionAttrs,
    /// The database's name.
    pub database: String,
    /// Whether the URL says it. If not, it is the user's name.
    pub names_database: bool,
    /// Whether and how connections are encrypted.
    pub tls: ServerTls,
}

/// What a server must be to be used: `target_session_attrs` in the URL, as libpq means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionAttrs {
    /// Whatever it is.
    #[default]
    Any,
    /// Sessions can write by default.
    ReadWrite,
    /// It is not in recovery.
    Primary,
}

/// Why a text is not a [`DatabaseUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; write postgres://user:password@host:port/database")]
pub struct DatabaseUrlError {
    problem: String,
}

impl DatabaseUrlError {
    /// What is wrong, without the remedy.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl DatabaseUrl {
    /// Reads `postgres://` or `postgresql://`. User, password and database may be percent-encoded. The user defaults to
    /// `postgres`, the host to `localhost`, the port to 5432, the database to the user's name.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or_else(|| wrong("a database URL begins with postgres://"))?;
        let (rest, query) = rest
            .split_once('?')
            .map_or((rest, ""), |(rest, query)| (rest, query));
        let (session_attrs, tls) = read_query(query)?;
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(decode(password, "the password")?)),
            None => (credentials, None),
        };
        let names_user = !user.is_empty();
        let user = match user {
            "" => "postgres".to_owned(),
            user => decode(user, "the user")?,
        };
        let mut hosts = address.split(',').map(split_address);
        let first = hosts.next().unwrap_or_else(|| split_address(""));
        let ((host, port), also) = (first?, hosts.collect::<Result<_, _>>()?);
        let names_database = !database.is_empty();
        let database = match database {
            "" => user.clone(),
            name => decode(name, "the database name")?,
        };
        let password = password.filter(|password| !password.is_empty());
        Ok(Self {
            user,
            names_user,
            password,
            host,
            port,
            also,
            session_attrs,
            database,
            names_database,
            tls,
        })
    }
}

impl SessionAttrs {
    fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        match text {
            "any" => Ok(Self::Any),
            "read-write" => Ok(Self::ReadWrite),
            "primary" => Ok(Self::Primary),
            other => Err(wrong(format!(
                "target_session_attrs={other} is not supported: any, read-write and primary are"
            ))),
        }
    }
}

impl Default for DatabaseUrl {
    fn default() -> Self {
        Self {
            user: "postgres".to_owned(),
            names_user: false,
            password: None,
            host: "localhost".to_owned(),
            port: 5432,
            also: Vec::new(),
            session_attrs: SessionAttrs::Any,
            database: "postgres".to_owned(),
            names_database: false,
            tls: ServerTls::default(),
        }
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = if self.password.is_some() { ":***" } else { "" };
        write!(f, "postgres://{}{password}@", self.user)?;
        let first = std::iter::once((&self.host, self.port));
        let also = self.also.iter().map(|(host, port)| (host, *port));
        for (index, (host, port)) in first.chain(also).enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let colon = host.contains(':');
            let (open, close) = if colon { ("[", "]") } else { ("", "") };
            write!(f, "{comma}{open}{host}{close}:{port}")?;
        }
        write!(f, "/{}", self.database)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

fn wrong(problem: impl Into<String>) -> DatabaseUrlError {
    DatabaseUrlError {
        problem: problem.into(),
    }
}

fn split_address(address: &str) -> Result<(String, u16), DatabaseUrlError> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest
                .split_once(']')
                .ok_or_else(|| wrong("an IPv6 address ends with ']'"))?;
            (host, rest.strip_prefix(':'))
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    if host.starts_with("%2F") || host.starts_with("%2f") {
        return Err(wrong(
            "Unix sockets are not supported, give a host name or address",
        ));
    }
    let port = match port {
        None | Some("") => 5432,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| wrong(format!("'{port}' is not a port (1 to 65535)")))?,
    };
    let host = if host.is_empty() { "localhost" } else { host };
    Ok((host.to_owned(), port))
}

/// What stands behind the `?`, as libpq means it. An option that we do not know must not be ignored in silence.
fn read_query(query: &str) -> Result<(SessionAttrs, ServerTls), DatabaseUrlError> {
    let (mut session_attrs, mut options) = (SessionAttrs::Any, Options::default());
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = decode(value, name)?;
        match name {
            "target_session_attrs" => session_attrs = SessionAttrs::parse(&value)?,
            _ => options.set(name, value).map_err(wrong)?,
        }
    }
    Ok((session_attrs, options.finish().map_err(wrong)?))
}

fn decode(text: &str, what: &str) -> Result<String, DatabaseUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.split_at_checked(2).and_then(|(digits, after)| {
            rest = after;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        });
        bytes.push(digits.ok_or_else(|| {
            wrong(format!(
                "a '%' in {what} must be followed by two hexadecimal digits"
            ))
        })?);
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or_else(|| wrong(format!("{what} is not valid UTF-8 text")))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Database};
    use super::*;

    #[test]
    fn urls_are_read() {
        let check =
            |text: &str, user: &str, password: Option<&str>, host: &str, port, database: &str| {
                let expected = DatabaseUrl {
                    user: user.into(),
                    names_user: text.contains('@'),
                    password: password.map(Into::into),
                    host: host.into(),
                    port,
                    database: database.into(),
                    names_database: text.matches('/').count() > 2,
                    ..DatabaseUrl::default()
                };
                assert_eq!(DatabaseUrl::parse(text), Ok(expected), "{text}");
            };
        check(
            "postgres://u:p@db:5433/app",
            "u",
            Some("p"),
            "db",
            5433,
            "app",
        );
        check("postgresql://u@db/app", "u", None, "db", 5432, "app");
        check(
            "postgres://",
            "postgres",
            None,
            "localhost",
            5432,
            "postgres",
        );
        check("postgres://me@[::1]:1/x", "me", None, "::1", 1, "x");
        check(
            "postgres://a%40b:p%3A%2Fw@h/d%20b?sslmode=prefer",
            "a@b",
            Some("p:/w"),
            "h",
            5432,
            "d b",
        );
        check("postgres://u:@h/d", "u", None, "h", 5432, "d");
    }

    #[test]
    fn several_hosts_are_read() {
        let text = "postgres://u@a,b:5433,[::1]:5434/d?target_session_attrs=read-write";
        let url = DatabaseUrl::parse(text).unwrap();
        assert_eq!((&*url.host, url.port), ("a", 5432));
        assert_eq!(url.also, [("b".into(), 5433), ("::1".into(), 5434)]);
        assert_eq!(url.session_attrs, SessionAttrs::ReadWrite);
        assert_eq!(url.to_string(), "postgres://u@a:5432,b:5433,[::1]:5434/d");
    }

    #[test]
    fn wrong_urls_are_refused_with_the_reason() {
        let check = |text: &str, part: &str| {
            let error = DatabaseUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("http://x", "begins with postgres://");
        check("postgres://h:70000/d", "'70000' is not a port");
        check("postgres://h/d?sslmode=on", "not 'on'");
        check("postgres://h/d?sslmode=verify-full", "sslrootcert");
        check("postgres://h/d?options=x", "'options' is not supported");
        check("postgres://u%zz@h/d", "two hexadecimal digits");
        check("postgres://a,b:x/d", "'x' is not a port");
        check(
            "postgres://a/d?target_session_attrs=standby",
            "standby is not supported",
        );
    }

    #[test]
    fn the_password_is_never_shown() {
        let url = DatabaseUrl::parse("postgres://u:secret@h/d").unwrap();
        assert!(!format!("{url:?} {url}").contains("secret"));
        let config = Config {
            databases: vec![Database::new(url)],
            ..Config::default()
        };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
