//! `[postgres]`: the Postgres half.

use paceline_pgproxy::DatabaseUrl;
use paceline_sql::TrustedFunction;

use super::{DAY, HOUR, Key, SECOND, key, sentence, texts};
use crate::config::field::{Field, List, Text};

pub(super) const KEYS: &[Key] = &[
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
    Key {
        path: "postgres.pool_size",
        field: Field::Count(|draft| &mut draft.postgres.pool_size, 0..=10_000),
        default_text: Some("twice `server_cores` plus one and at least 5; 20 when that is not set"),
        about: "Server connections of each pool at most. 0 stands for the default.",
    },
    key(
        "postgres.pool_size_min",
        Field::Count(|draft| &mut draft.postgres.pool_size_min, 0..=10_000),
        "Server connections of each pool that are kept open, used or not. They are opened in the background, one a second.",
    ),
    key(
        "postgres.reserve_size",
        Field::Count(|draft| &mut draft.postgres.reserve_size, 0..=10_000),
        "Server connections of each pool beyond its maximum, for clients that have waited for `reserve_after`.",
    ),
    key(
        "postgres.reserve_after",
        Field::Duration(|draft| &mut draft.postgres.reserve_after, 0..=HOUR),
        "How long a client waits until a connection of the reserve is opened for it.",
    ),
    key(
        "postgres.opening_max",
        Field::Count(|draft| &mut draft.postgres.opening_max, 1..=1000),
        "Server connections that each pool opens at once; the other clients wait for these, or for one that comes back.",
    ),
    key(
        "postgres.server_cores",
        Field::Count(|draft| &mut draft.postgres.server_cores, 0..=1024),
        "The cores of the database server, from which the default of `pool_size` follows. 0: not known.",
    ),
    key(
        "postgres.instances",
        Field::Count(|draft| &mut draft.postgres.instances, 1..=10_000),
        "How many Pacelines share the database. Each takes its part of all maxima of server connections.",
    ),
    key(
        "postgres.server_connections_max",
        Field::Count(
            |draft| &mut draft.postgres.server_connections_max,
            0..=100_000,
        ),
        "Server connections of all pools together at most. 0: no bound.",
    ),
    key(
        "postgres.database_connections_max",
        Field::Count(
            |draft| &mut draft.postgres.database_connections_max,
            0..=100_000,
        ),
        "Server connections of each database at most, over all its users. 0: no bound.",
    ),
    key(
        "postgres.user_connections_max",
        Field::Count(
            |draft| &mut draft.postgres.user_connections_max,
            0..=100_000,
        ),
        "Server connections of each role at most, over all databases. 0: no bound.",
    ),
    key(
        "postgres.database_clients_max",
        Field::Count(
            |draft| &mut draft.postgres.database_clients_max,
            0..=1_000_000,
        ),
        "Clients of each database at most; whoever comes after them gets SQLSTATE 53300. 0: no bound.",
    ),
    key(
        "postgres.user_clients_max",
        Field::Count(|draft| &mut draft.postgres.user_clients_max, 0..=1_000_000),
        "Clients of each user at most. 0: no bound.",
    ),
    key(
        "postgres.check_after",
        Field::Duration(|draft| &mut draft.postgres.check_after, 0..=DAY),
        "A server connection that nobody has used for this long is asked whether it still lives before a client gets it; one that does not is replaced without the client noticing.",
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
        "postgres.statement_timeout",
        Field::Duration(|draft| &mut draft.postgres.timeouts.statement, 0..=30 * DAY),
        "How long a statement, or several that are sent together, may take before it is cancelled (SQLSTATE 57014). 0: as long as it takes.",
    ),
    key(
        "postgres.idle_in_transaction_timeout",
        Field::Duration(
            |draft| &mut draft.postgres.timeouts.idle_in_transaction,
            0..=30 * DAY,
        ),
        "How long a client may do nothing with a transaction open before that is rolled back and the client is sent away (25P03). 0: for ever.",
    ),
    key(
        "postgres.client_idle_timeout",
        Field::Duration(
            |draft| &mut draft.postgres.timeouts.client_idle,
            0..=30 * DAY,
        ),
        "How long a client may do nothing outside of a transaction before it is sent away (57P05). 0: for ever.",
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
        "postgres.statement_memory_max",
        Field::Size(
            |draft| &mut draft.postgres.statement_memory_max,
            3072..=1 << 40,
        ),
        "What large statement texts under way (above 128 KiB) and prepared texts may take in memory, over all clients. A text under way counts twice: as it comes, and as it is passed on. At least three times statement_bytes_max.",
    ),
    key(
        "postgres.forward_trace_comment",
        Field::Flag(|draft| &mut draft.postgres.forward_trace_comment),
        "Whether the trace comment stays in the text that the server gets. Without it, statements that differ in nothing else share one prepared statement.",
    ),
    key(
        "postgres.console_users",
        Field::List(
            "a user's name",
            List {
                clear: |draft| draft.postgres.console_users.clear(),
                push: |draft, text| {
                    draft.postgres.console_users.push(text.to_owned());
                    Ok(())
                },
                show: |draft| draft.postgres.console_users.clone(),
            },
        ),
        "Who may do everything at the console (the database `paceline`). If nobody is named, it is the user of the main database's URL.",
    ),
    key(
        "postgres.console_stats_users",
        Field::List(
            "a user's name",
            List {
                clear: |draft| draft.postgres.console_stats_users.clear(),
                push: |draft, text| {
                    draft.postgres.console_stats_users.push(text.to_owned());
                    Ok(())
                },
                show: |draft| draft.postgres.console_stats_users.clone(),
            },
        ),
        "Who may `SHOW` at the console, and nothing else: monitoring.",
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
];

pub(in crate::config) const DATABASE_FORM: &str =
    "a URL such as \"postgres://user:password@127.0.0.1:5432/database\"";

/// Reads a database's URL. The parser below cannot know where a password ends that was not encoded, and would quote a
/// piece of it; so such a URL is refused here, with the remedy.
pub(in crate::config) fn database_url(text: &str) -> Result<DatabaseUrl, String> {
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
