//! What can be said at the console, read from its text.

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Show(Show),
    /// `SHOW client_encoding` and the like, which libraries ask of every server.
    ShowParameter(&'static str, &'static str),
    /// A database, or all.
    Pause(Option<String>),
    Resume(Option<String>),
    Reconnect(Option<String>),
    Kill(Option<String>),
    WaitClose(Option<String>),
    KillClient(u64),
    Disable(String),
    Enable(String),
    Reload,
    Shutdown(Shutdown),
    Suspend,
    Set(String),
    /// `SET` of what libraries set at every server: nothing happens.
    SetParameter,
    /// Nothing but space and comments.
    Empty,
}

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    Clients,
    Config,
    Databases,
    Help,
    Lists,
    Mem,
    Pools,
    Servers,
    Sockets,
    State,
    Stats,
    StatsAverages,
    StatsTotals,
    Totals,
    Users,
    Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shutdown {
    Now,
    WaitForServers,
    WaitForClients,
}

/// The names of what can be shown.
const SHOWS: &[(&str, Show)] = &[
    ("clients", Show::Clients),
    ("config", Show::Config),
    ("databases", Show::Databases),
    ("help", Show::Help),
    ("lists", Show::Lists),
    ("mem", Show::Mem),
    ("pools", Show::Pools),
    ("servers", Show::Servers),
    ("sockets", Show::Sockets),
    ("active_sockets", Show::Sockets),
    ("state", Show::State),
    ("stats", Show::Stats),
    ("stats_averages", Show::StatsAverages),
    ("stats_totals", Show::StatsTotals),
    ("totals", Show::Totals),
    ("users", Show::Users),
    ("version", Show::Version),
];

/// What libraries ask of a server before they do anything, and what they get.
const PARAMETERS: &[(&str, &str)] = &[
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO, MDY"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("integer_datetimes", "on"),
    ("server_version", super::SERVER_VERSION),
    ("standard_conforming_strings", "on"),
    ("timezone", "GMT"),
    ("transaction_read_only", "off"),
];

/// Settings of a session that mean nothing here.
const IGNORED: &[&str] = &[
    "application_name",
    "extra_float_digits",
    "statement_timeout",
];

/// A command's text is short; whatever is longer is none.
const TEXT_BYTES_MAX: usize = 4096;

/// Why a text is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Not one of ours.
    Unknown(String),
    /// `SHOW FDS` and others, which mean nothing here.
    Meaningless(&'static str),
    NeedsDatabase(&'static str),
    NoNumber,
}

/// Reads a text with one command in it.
pub(super) fn parse(text: &str) -> Result<Command, Mistake> {
    let unknown = || Mistake::Unknown(shortened(text));
    if text.len() > TEXT_BYTES_MAX {
        return Err(unknown());
    }
    let words = words(text).ok_or_else(unknown)?;
    let mut words = words.iter();
    let Some(first) = words.next() else {
        return Ok(Command::Empty);
    };
    let rest: Vec<&Word> = words.collect();
    let verb = first.keyword().ok_or_else(unknown)?;
    if verb == "set" {
        return set(&rest).ok_or_else(unknown);
    }
    let argument = match rest.as_slice() {
        [] => None,
        [one] => Some(*one),
        _ => return Err(unknown()),
    };
    let database = || argument.map(|word| word.text.clone());
    let bare = |command| match argument {
        None => Ok(command),
        Some(_) => Err(unknown()),
    };
    match verb.as_str() {
        "show" | "select" => show(argument.ok_or_else(unknown)?).ok_or_else(unknown)?,
        "pause" => Ok(Command::Pause(database())),
        "resume" => Ok(Command::Resume(database())),
        "reconnect" => Ok(Command::Reconnect(database())),
        "kill" => Ok(Command::Kill(database())),
        "wait_close" => Ok(Command::WaitClose(database())),
        "kill_client" => {
            let number = argument.and_then(|word| word.text.parse().ok());
            number.map(Command::KillClient).ok_or(Mistake::NoNumber)
        }
        "disable" => database()
            .map(Command::Disable)
            .ok_or(Mistake::NeedsDatabase("DISABLE")),
        "enable" => database()
            .map(Command::Enable)
            .ok_or(Mistake::NeedsDatabase("ENABLE")),
        "reload" => bare(Command::Reload),
        "suspend" => bare(Command::Suspend),
        "shutdown" => match argument.map(Word::keyword) {
            None => Ok(Command::Shutdown(Shutdown::Now)),
            Some(Some(word)) if word == "wait_for_servers" => {
                Ok(Command::Shutdown(Shutdown::WaitForServers))
            }
            Some(Some(word)) if word == "wait_for_clients" => {
                Ok(Command::Shutdown(Shutdown::WaitForClients))
            }
            Some(_) => Err(unknown()),
        },
        _ => Err(unknown()),
    }
}

fn show(what: &Word) -> Option<Result<Command, Mistake>> {
    let name = what.keyword()?;
    if let Some((_, show)) = SHOWS.iter().find(|(known, _)| *known == name) {
        return Some(Ok(Command::Show(*show)));
    }
    if let Some((known, value)) = PARAMETERS.iter().find(|(known, _)| *known == name) {
        return Some(Ok(Command::ShowParameter(known, value)));
    }
    let meaningless = match name.as_str() {
        "fds" => "sockets are passed to a new process with `paceline run --takeover`",
        "dns_hosts" | "dns_zones" => "names are looked up by the system, and nothing is kept here",
        "peers" | "peer_pools" => {
            "instances know nothing of each other; each takes its share of the server's connections"
        }
        _ => return None,
    };
    Some(Err(Mistake::Meaningless(meaningless)))
}

fn set(rest: &[&Word]) -> Option<Command> {
    let (key, rest) = rest.split_first()?;
    // `SET SESSION name = …` is a session's matter too.
    let (key, rest) = match key.keyword().as_deref() {
        Some("session" | "local") => rest.split_first()?,
        _ => (key, rest),
    };
    let key = key.text.to_ascii_lowercase();
    let has_value = match rest {
        [is, _, ..] => matches!(is.text.to_ascii_lowercase().as_str(), "=" | "to"),
        _ => false,
    };
    let is_parameter = PARAMETERS.iter().any(|(known, _)| *known == key);
    match has_value {
        true if is_parameter || IGNORED.contains(&key.as_str()) => Some(Command::SetParameter),
        true => Some(Command::Set(key)),
        false => None,
    }
}

/// A word, a quoted one, or an equals sign.
#[derive(Debug)]
struct Word {
    text: String,
    is_quoted: bool,
}

impl Word {
    /// In lower case, unless it was quoted.
    fn keyword(&self) -> Option<String> {
        (!self.is_quoted).then(|| self.text.to_ascii_lowercase())
    }
}

/// The words of a text up to its semicolon. None when there is something behind that, or a quote has no end.
fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, tail) = match first {
            ';' => {
                let behind = rest.trim_start_matches(|c: char| c == ';' || c.is_whitespace());
                return skip_comments(behind).is_empty().then_some(words);
            }
            '"' | '\'' => {
                let (text, tail) = quoted(&rest[1..], first)?;
                let is_quoted = true;
                (Word { text, is_quoted }, tail)
            }
            '=' => (plain("="), &rest[1..]),
            _ if is_comment(rest) => {
                rest = skip_comments(rest);
                continue;
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, ';' | '"' | '\'' | '=');
                let end = rest.find(ends).unwrap_or(rest.len());
                (plain(&rest[..end]), &rest[end..])
            }
        };
        words.push(word);
        rest = tail.trim_start();
    }
    Some(words)
}

fn plain(text: &str) -> Word {
    Word {
        text: text.to_owned(),
        is_quoted: false,
    }
}

/// What stands up to the closing quote; two of them are one.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut found = String::new();
    let mut rest = text;
    loop {
        let end = rest.find(quote)?;
        found.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(more) => {
                found.push(quote);
                rest = more;
            }
            None => return Some((found, rest)),
        }
    }
}

fn is_comment(text: &str) -> bool {
    text.starts_with("--") || text.starts_with("/*")
}

/// What comes behind the comments and the space that a text begins with. A comment without an end goes to the end.
fn skip_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    while is_comment(rest) {
        let end = match rest.starts_with("--") {
            true => rest.find('\n').map(|at| at + 1),
            false => rest[2..].find("*/").map(|at| at + 4),
        };
        rest = end.map_or("", |end| &rest[end..]).trim_start();
    }
    rest
}

/// So much of a text as an error message may bear.
fn shortened(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_people_and_tools_write_them() {
        let app = || Some("app".to_owned());
        let rows = [
            ("SHOW POOLS;", Command::Show(Show::Pools)),
            (
                "  show\tstats_totals ; ; ",
                Command::Show(Show::StatsTotals),
            ),
            ("select version", Command::Show(Show::Version)),
            (
                "-- hello\nSHOW /* x */ lists -- y",
                Command::Show(Show::Lists),
            ),
            ("SHOW LISTS; -- y", Command::Show(Show::Lists)),
            ("pause", Command::Pause(None)),
            ("PAUSE app;", Command::Pause(app())),
            (
                "RESUME \"My \"\"App\"",
                Command::Resume(Some("My \"App".to_owned())),
            ),
            ("RECONNECT app", Command::Reconnect(app())),
            ("KILL", Command::Kill(None)),
            ("KILL_CLIENT 17", Command::KillClient(17)),
            ("DISABLE app", Command::Disable("app".to_owned())),
            ("ENABLE app", Command::Enable("app".to_owned())),
            ("WAIT_CLOSE", Command::WaitClose(None)),
            ("RELOAD", Command::Reload),
            ("SHUTDOWN", Command::Shutdown(Shutdown::Now)),
            (
                "shutdown wait_for_clients",
                Command::Shutdown(Shutdown::WaitForClients),
            ),
            (
                "SHUTDOWN WAIT_FOR_SERVERS;",
                Command::Shutdown(Shutdown::WaitForServers),
            ),
            ("SUSPEND", Command::Suspend),
            ("SET pool_size=3", Command::Set("pool_size".to_owned())),
            ("SET x TO 'a b'", Command::Set("x".to_owned())),
            ("SET DateStyle TO 'ISO'", Command::SetParameter),
            ("SET extra_float_digits = 3", Command::SetParameter),
            ("SET SESSION application_name = 'x'", Command::SetParameter),
            (
                "SHOW client_encoding",
                Command::ShowParameter("client_encoding", "UTF8"),
            ),
            ("", Command::Empty),
            (" ; -- nothing", Command::Empty),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn whatever_else_is_refused_without_a_panic() {
        let long = format!("SHOW {}", "x".repeat(5000));
        for text in [
            "SHOW",
            "SHOW POOLS CLIENTS",
            "SHOW \"pools\"",
            "SELECT 1",
            "SHOW POOLS; DROP TABLE x",
            "SET",
            "SET x",
            "SET x 3",
            "\"show\" pools",
            "SHOW 'pools",
            "RELOAD app",
            "SHUTDOWN later",
            "\u{e9}\u{e9}",
            "=",
            "' '",
            &long,
        ] {
            assert!(matches!(parse(text), Err(Mistake::Unknown(_))), "{text}");
        }
        assert!(matches!(parse("SHOW FDS"), Err(Mistake::Meaningless(_))));
        assert_eq!(parse("DISABLE"), Err(Mistake::NeedsDatabase("DISABLE")));
        assert_eq!(parse("KILL_CLIENT app"), Err(Mistake::NoNumber));
    }
}
