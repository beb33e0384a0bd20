//! The table: one row per key. Everything else about the configuration is derived from it.

use paceline_gateway::Upstream;
use paceline_journal::RouteTemplate;
use paceline_pgproxy::DatabaseUrl;
use paceline_sql::TrustedFunction;

use super::draft::{LogFormat, Mode};
use super::field::{Field, List, Text};
use super::{nearest, units};

/// One key.
pub(super) struct Key {
    /// The dotted path.
    pub(super) path: &'static str,
    pub(super) field: Field,
    /// What the reference says of the default, where the bare value would mislead (it depends on the machine).
    pub(super) default_text: Option<&'static str>,
    /// One or two sentences for the reference.
    pub(super) about: &'static str,
}

/// The sections in the order of the reference, each with what it is about. The top level has no name.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("", "What concerns the whole process."),
    ("gateway", "The HTTP half. It runs when `upstream` is set."),
    (
        "postgres",
        "The Postgres half. It runs when `url` or `url_file` is set.",
    ),
    (
        "journal",
        "What is remembered of requests and statements, and how much of it.",
    ),
    ("admin", "Health, metrics and `/api/v1`."),
    ("log", "The log on stderr."),
];

const fn key(path: &'static str, field: Field, about: &'static str) -> Key {
    Key {
        path,
        field,
        default_text: None,
        about,
    }
}

/// Every key.
pub(super) const KEYS: &[Key] = &[
    key(
        "mode",
        Field::Choice(
            &["observe", "fix"],
            Text {
                set: |draft, word| {
                    draft.mode = if word == "observe" {
                        Mode::Observe
                    } else {
                        Mode::Fix
                    };
                    Ok(())
                },
                show: |draft| Some(draft.mode.word().to_owned()),
            },
        ),
        "`observe` changes nothing but a trace header on requests, and gives each database client a server connection of its own. `fix` switches pooling on.",
    ),
    Key {
        path: "workers",
        field: Field::Count(|draft| &mut draft.workers, 1..=256),
        default_text: Some("the number of cores"),
        about: "Worker threads. Each has its own listening sockets and serves its connections alone.",
    },
    key(
        "drain_delay",
        Field::Duration(|draft| &mut draft.drain_delay, 0..=HOUR),
        "How long Paceline still accepts connections after SIGTERM or SIGINT, while `/readyz` already fails, so that balancers can look elsewhere.",
    ),
    key(
        "drain_timeout",
        Field::Duration(|draft| &mut draft.drain_timeout, 0..=DAY),
        "How long open requests and transactions may take to end after SIGTERM or SIGINT. A second signal ends at once.",
    ),
    // ---- [gateway]
    key(
        "gateway.listen",
        Field::Address(|draft| &mut draft.gateway.listen),
        "Where HTTP clients connect.",
    ),
    key(
        "gateway.upstream",
        Field::Parsed(
            UPSTREAM_FORM,
            Text {
                set: |draft, text| {
                    draft.upstream = Some(upstream(text)?);
                    Ok(())
                },
                show: |draft| draft.upstream.as_ref().map(ToString::to_string),
            },
        ),
        "The application. A path in the URL is put before the path of each request.",
    ),
    key(
        "gateway.trust_forwarded",
        Field::Flag(|draft| &mut draft.gateway.trust_forwarded),
        "Whether the peers that connect are proxies whose `Forwarded` and `X-Forwarded-*` headers can be believed. If so, Paceline adds to them, else it replaces them.",
    ),
    key(
        "gateway.connect_timeout",
        Field::Duration(|draft| &mut draft.gateway.connect_timeout, 1..=HOUR),
        "How long connecting to the application may take; after it, 502 or 504.",
    ),
    key(
        "gateway.response_timeout",
        Field::Duration(|draft| &mut draft.gateway.response_timeout, 1..=DAY),
        "How long the application may take from the end of the request to the first byte of its answer; after it, 504.",
    ),
    key(
        "gateway.body_idle_timeout",
        Field::Duration(|draft| &mut draft.gateway.body_idle_timeout, 1..=DAY),
        "How long a body may stand still, either way.",
    ),
    key(
        "gateway.header_timeout",
        Field::Duration(|draft| &mut draft.gateway.header_timeout, 1..=HOUR),
        "How long a client may take for the headers of a request, and from connecting to its first byte.",
    ),
    key(
        "gateway.keep_alive_timeout",
        Field::Duration(|draft| &mut draft.gateway.keep_alive_timeout, 1..=DAY),
        "How long a client may keep a connection without asking anything.",
    ),
    key(
        "gateway.upstream_idle_timeout",
        Field::Duration(|draft| &mut draft.gateway.upstream_idle_timeout, 1..=HOUR),
        "How long a connection to the application is kept without use. It should be shorter than the application's own keep-alive.",
    ),
    key(
        "gateway.upstream_idle_max",
        Field::Count(|draft| &mut draft.gateway.upstream_idle_max, 0..=65_536),
        "Unused connections to the application that each worker keeps.",
    ),
    key(
        "gateway.clients_max",
        Field::Count(|draft| &mut draft.gateway.clients_max, 1..=1_000_000),
        "Client connections over all workers; whoever comes after them gets 503.",
    ),
    key(
        "gateway.header_bytes_max",
        Field::Size(
            |draft| &mut draft.gateway.header_bytes_max,
            8 * 1024..=paceline_gateway::Config::HEADER_BYTES_LIMIT,
        ),
        "The headers of a request, names and values; above it, 431.",
    ),
    key(
        "gateway.uri_bytes_max",
        Field::Size(|draft| &mut draft.gateway.uri_bytes_max, 256..=64 * 1024),
        "The target of a request; above it, 414.",
    ),
    key(
        "gateway.body_bytes_max",
        Field::Parsed(
            "a size such as \"16MiB\", or \"none\"",
            Text {
                set: |draft, text| {
                    draft.gateway.body_bytes_max = match text {
                        "none" => None,
                        text => Some(units::parse_size(text)?),
                    };
                    Ok(())
                },
                show: |draft| {
                    Some(
                        draft
                            .gateway
                            .body_bytes_max
                            .map_or("none".to_owned(), units::show_size),
                    )
                },
            },
        ),
        "The body of a request; above it, 413. Bodies stream and are never held in memory.",
    ),
    // ---- [postgres]
    key(
        "postgres.listen",
        Field::Address(|draft| &mut draft.postgres.listen),
        "Where database clients connect.",
    ),
    key(
        "postgres.url",
        Field::Secret(
            DATABASE_FORM,
            Text {
                set: |draft, text| {
                    draft.database = Some(database_url(text)?);
                    Ok(())
                },
                show: |draft| draft.database.as_ref().map(ToString::to_string),
            },
        ),
        "The database, and the user and password for both sides: clients authenticate with them too, or without a password on loopback when the URL has none.",
    ),
    key(
        "postgres.url_file",
        Field::Path(|draft| &mut draft.database_file),
        "A file with the URL in it, instead of `url`.",
    ),
    key(
        "postgres.password_file",
        Field::Path(|draft| &mut draft.password_file),
        "A file with the password in it, for a URL without one.",
    ),
    key(
        "postgres.required_at_start",
        Field::Flag(|draft| &mut draft.database_required_at_start),
        "Whether `paceline run` ends with code 2 when the database cannot be reached at start. Without it Paceline starts, is not ready, and answers clients with SQLSTATE 08001 until the database is there. A wrong password or an unknown database ends it in either case.",
    ),
    key(
        "postgres.pool_size",
        Field::Count(|draft| &mut draft.postgres.pool_size, 1..=10_000),
        "Server connections at most.",
    ),
    key(
        "postgres.wait_timeout",
        Field::Duration(|draft| &mut draft.postgres.wait_timeout, 1..=HOUR),
        "How long a client waits for a server connection before it gets SQLSTATE 53300.",
    ),
    key(
        "postgres.connect_timeout",
        Field::Duration(|draft| &mut draft.postgres.connect_timeout, 1..=HOUR),
        "How long opening a server connection may take, authentication included.",
    ),
    key(
        "postgres.login_timeout",
        Field::Duration(|draft| &mut draft.postgres.login_timeout, 1..=HOUR),
        "How long a client may take from connecting to the end of its authentication.",
    ),
    key(
        "postgres.idle_timeout",
        Field::Duration(|draft| &mut draft.postgres.idle_timeout, SECOND..=30 * DAY),
        "A server connection that nobody has used for this long is closed.",
    ),
    key(
        "postgres.lifetime_max",
        Field::Duration(|draft| &mut draft.postgres.lifetime_max, SECOND..=30 * DAY),
        "A server connection older than this is closed when it comes back.",
    ),
    key(
        "postgres.prepared_statements_max",
        Field::Count(
            |draft| &mut draft.postgres.prepared_statements_max,
            1..=100_000,
        ),
        "Statements that each server connection keeps prepared; the least recently used goes first.",
    ),
    key(
        "postgres.client_statements_max",
        Field::Count(
            |draft| &mut draft.postgres.client_statements_max,
            1..=1_000_000,
        ),
        "Named statements that one client may hold.",
    ),
    key(
        "postgres.clients_max",
        Field::Count(|draft| &mut draft.postgres.clients_max, 1..=1_000_000),
        "Clients at most, those that still authenticate included.",
    ),
    key(
        "postgres.statement_bytes_max",
        Field::Size(
            |draft| &mut draft.postgres.statement_bytes_max,
            1024..=1 << 30,
        ),
        "The longest statement text, and the most that all named statements of one client may add up to.",
    ),
    key(
        "postgres.forward_trace_comment",
        Field::Flag(|draft| &mut draft.postgres.forward_trace_comment),
        "Whether the trace comment stays in the text that the server gets. Without it, statements that differ in nothing else share one prepared statement.",
    ),
    key(
        "postgres.trusted_functions",
        Field::List(
            "a function such as \"app.current_user_id\" or \"st_*\"",
            List {
                clear: |draft| draft.trusted_functions.clear(),
                push: |draft, text| {
                    let function = TrustedFunction::parse(text).map_err(sentence)?;
                    draft.trusted_functions.push(function);
                    Ok(())
                },
                show: |draft| texts(&draft.trusted_functions),
            },
        ),
        "Functions outside `pg_catalog` that leave nothing behind in their session: no setting, no advisory lock. A connection on which any other was called is reset before the next client gets it. Named as statements name them (`f` is not `public.f`); a `*` at the end stands for any rest.",
    ),
    // ---- [journal]
    key(
        "journal.routes",
        Field::List(
            "a path with names for what varies, such as \"/jobs/{id}\"",
            List {
                clear: |draft| draft.journal.route_templates.clear(),
                push: |draft, text| {
                    let template = RouteTemplate::parse(text).map_err(sentence)?;
                    draft.journal.route_templates.push(template);
                    Ok(())
                },
                show: |draft| texts(&draft.journal.route_templates),
            },
        ),
        "Templates of the application's routes. Paths that match none are inferred: numbers, UUIDs and long hexadecimal become `{id}`.",
    ),
    key(
        "journal.routes_max",
        Field::Count(|draft| &mut draft.journal.routes_max, 1..=100_000),
        "Routes that are told apart; the rest counts as `other`.",
    ),
    key(
        "journal.shapes_max",
        Field::Count(|draft| &mut draft.journal.shapes_max, 1..=1_000_000),
        "Query shapes that are told apart; the rest counts as `other`.",
    ),
    key(
        "journal.pairs_max",
        Field::Count(|draft| &mut draft.journal.pairs_max, 1..=1_000_000),
        "Pairs of a route and a shape that are told apart.",
    ),
    key(
        "journal.recent_requests_max",
        Field::Count(
            |draft| &mut draft.journal.recent_requests_max,
            1..=1_000_000,
        ),
        "Requests that are remembered one by one.",
    ),
    key(
        "journal.recent_statements_max",
        Field::Count(
            |draft| &mut draft.journal.recent_statements_max,
            1..=10_000_000,
        ),
        "Statements that are remembered over all of them; the oldest requests go first.",
    ),
    key(
        "journal.overlaps_max",
        Field::Count(|draft| &mut draft.journal.overlaps_max, 1..=1_000_000),
        "Statements that overlapped several requests and are remembered to be shown with them.",
    ),
    key(
        "journal.statements_per_request_max",
        Field::Count(
            |draft| &mut draft.journal.statements_per_request_max,
            1..=65_536,
        ),
        "Statements that are listed with one request; all are counted.",
    ),
    key(
        "journal.open_loads_max",
        Field::Count(|draft| &mut draft.journal.open_loads_max, 1..=1_000_000),
        "Requests that may be open at the same time and still get their statements attributed.",
    ),
    key(
        "journal.repeat_min",
        Field::SmallCount(|draft| &mut draft.journal.repeat_min, 2..=1_000_000),
        "Executions of one shape within one request from which it counts as repeated.",
    ),
    // ---- [admin]
    key(
        "admin.listen",
        Field::Address(|draft| &mut draft.admin.listen),
        "Where health, metrics and `/api/v1` are served.",
    ),
    key(
        "admin.allow_remote",
        Field::Flag(|draft| &mut draft.admin.allow_remote),
        "Says that an `admin.listen` other than loopback is meant. There is no authentication: whoever can connect can read statements and routes.",
    ),
    key(
        "admin.allowed_hosts",
        Field::List(
            "a host name such as \"paceline.internal\"",
            List {
                clear: |draft| draft.admin.allowed_hosts.clear(),
                push: |draft, text| {
                    draft.admin.allowed_hosts.push(host_name(text)?);
                    Ok(())
                },
                show: |draft| draft.admin.allowed_hosts.clone(),
            },
        ),
        "Names under which the admin port may be asked, beside `localhost` and IP addresses. Others are refused (421), so that no web page can reach it by DNS rebinding.",
    ),
    // ---- [log]
    key(
        "log.level",
        Field::Choice(
            LEVELS,
            Text {
                set: |draft, word| {
                    draft.log.level = word.parse().map_err(|_| format!("{word:?} is no level"))?;
                    Ok(())
                },
                show: |draft| Some(draft.log.level.to_string().to_ascii_lowercase()),
            },
        ),
        "The least important messages that are logged.",
    ),
    key(
        "log.format",
        Field::Choice(
            &["text", "json"],
            Text {
                set: |draft, word| {
                    draft.log.format = if word == "json" {
                        LogFormat::Json
                    } else {
                        LogFormat::Text
                    };
                    Ok(())
                },
                show: |draft| Some(draft.log.format.word().to_owned()),
            },
        ),
        "`text` for people, `json` for programs: one object per line.",
    ),
];

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;
const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];
const UPSTREAM_FORM: &str = "a URL such as \"http://127.0.0.1:3000\"";
pub(super) const DATABASE_FORM: &str =
    "a URL such as \"postgres://user:password@127.0.0.1:5432/database\"";

/// The row of a path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The names of the sections, the top level aside.
pub(super) fn sections() -> Vec<&'static str> {
    SECTIONS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !name.is_empty())
        .collect()
}

/// Whether there is such a section.
pub(super) fn section_exists(name: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == name)
}

/// The section of a path; the top level's is empty.
pub(super) fn section_of(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(section, _)| section)
}

/// The existing path that was most likely meant: near as a whole, or of the same last name in another section.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let within = |key: &&Key| section_of(key.path) == section_of(path);
    let local = KEYS
        .iter()
        .filter(within)
        .map(|key| (last(key.path), key.path));
    let near_name = |candidates: Vec<(String, &'static str)>| {
        let best = nearest::nearest(
            &last(path),
            candidates.iter().map(|(name, _)| name.as_str()),
        )?;
        candidates
            .iter()
            .find(|(name, _)| name == best)
            .map(|(_, path)| *path)
    };
    near_name(local.collect())
        .or_else(|| {
            KEYS.iter()
                .find(|key| last(key.path) == last(path))
                .map(|key| key.path)
        })
        .or_else(|| nearest::nearest(path, KEYS.iter().map(|key| key.path)))
        .or_else(|| near_name(KEYS.iter().map(|key| (last(key.path), key.path)).collect()))
}

/// Reads a database's URL. The parser below cannot know where a password ends that was not encoded, and would quote a
/// piece of it; so such a URL is refused here, with the remedy.
pub(super) fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    let text = text.trim();
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    if let (Some(end), Some(at)) = (after_scheme.find(['/', '?', '#']), after_scheme.rfind('@'))
        && end < at
    {
        let how = "'/' as %2F, '?' as %3F, '#' as %23, '@' as %40";
        return Err(format!(
            "special characters in the user or password must be encoded ({how})"
        ));
    }
    DatabaseUrl::parse(text).map_err(|error| error.problem().to_owned())
}

/// Reads the application's URL. What it should look like is said by whoever reports the problem.
fn upstream(text: &str) -> Result<Upstream, String> {
    Upstream::parse(text).map_err(|error| match error {
        paceline_gateway::Error::Upstream { reason, .. } => reason.to_owned(),
        other => sentence(other),
    })
}

fn host_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || !text.chars().all(good) {
        return Err(format!(
            "{text:?} is not a host name (write it without port and scheme)"
        ));
    }
    Ok(text.to_ascii_lowercase())
}

/// An error of a library as the middle of a longer sentence.
fn texts(list: &[impl ToString]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn sentence(error: impl std::fmt::Display) -> String {
    error.to_string().trim_end_matches('.').to_owned()
}
