//! `[[postgres.databases]]` and `[[postgres.users]]`: what clients may ask for, and who they may be.

use paceline_pgproxy::{ANY, Pooling};

use super::postgres::{DATABASE_FORM, database_url};
use super::{DAY, Key, key};
use crate::config::database::{DATABASES, DatabaseDraft, USERS, UserDraft};
use crate::config::field::{Field, Text};
use crate::config::rows::{Array, Rows};

pub(super) const ARRAYS: &[&dyn Array] = &[
    &Rows {
        path: DATABASES,
        about: "More databases than that of `postgres.url`. Without `postgres.url`, the first one is the main database: it is looked at when Paceline starts. From the environment and the command line, a value is reached by its database's name: `PACELINE__POSTGRES__DATABASES__REPORTS__POOL_SIZE`.",
        keys: DATABASE_KEYS,
        place: |draft| &mut draft.databases,
        name: Some(|row| &row.database.name),
    },
    &Rows {
        path: USERS,
        about: "What holds for single users. A secret need not stand in the file: `PACELINE__POSTGRES__USERS__APP__PASSWORD` sets that of the user `app`.",
        keys: USER_KEYS,
        place: |draft| &mut draft.users,
        name: Some(|row| &row.user.name),
    },
];

const DATABASE_KEYS: &[Key<DatabaseDraft>] = &[
    key(
        "name",
        Field::Parsed(
            "a database's name, or \"*\" for all that have no entry of their own",
            Text {
                set: |row, text| {
                    row.database.name = name(text, true)?;
                    Ok(())
                },
                show: |row| Some(row.database.name.clone()).filter(|name| !name.is_empty()),
            },
        ),
        "What clients ask for; `*` stands for every name that has no entry of its own.",
    ),
    key(
        "url",
        Field::Secret(
            DATABASE_FORM,
            Text {
                set: |row, text| {
                    row.url = Some(database_url(text)?);
                    Ok(())
                },
                show: |row| row.url.as_ref().map(ToString::to_string),
            },
        ),
        "Where it is. Without a database in it, it is called there as clients call it; under `*` always. With a user in it, all clients share that role on the server; without one, each client's own user is the role.",
    ),
    key(
        "url_file",
        Field::Path(|row: &mut DatabaseDraft| &mut row.url_file),
        "A file with the URL in it, instead of `url`.",
    ),
    key(
        "password_file",
        Field::Path(|row: &mut DatabaseDraft| &mut row.password_file),
        "A file with the password in it, for a URL without one.",
    ),
    Key {
        path: "pool_size",
        field: Field::OptionalCount(|row| &mut row.database.pool_size, 1..=10_000),
        default_text: Some("`postgres.pool_size`"),
        about: "Server connections of each of its pools at most. There is a pool for each role.",
    },
    Key {
        path: "pool_size_min",
        field: Field::OptionalCount(|row| &mut row.database.pool_size_min, 0..=10_000),
        default_text: Some("`postgres.pool_size_min`"),
        about: "Server connections of each of its pools that are kept open.",
    },
    Key {
        path: "reserve_size",
        field: Field::OptionalCount(|row| &mut row.database.reserve_size, 0..=10_000),
        default_text: Some("`postgres.reserve_size`"),
        about: "Server connections of each of its pools beyond the maximum.",
    },
    Key {
        path: "connections_max",
        field: Field::OptionalCount(|row| &mut row.database.connections_max, 0..=100_000),
        default_text: Some("`postgres.database_connections_max`"),
        about: "Its server connections at most, over all users; 0 is no bound.",
    },
    Key {
        path: "clients_max",
        field: Field::OptionalCount(|row| &mut row.database.clients_max, 0..=1_000_000),
        default_text: Some("`postgres.database_clients_max`"),
        about: "Its clients at most; 0 is no bound.",
    },
    Key {
        path: "pooling",
        field: Field::Choice(
            POOLINGS,
            Text {
                set: |row: &mut DatabaseDraft, word| {
                    row.database.pooling = pooling(word);
                    Ok(())
                },
                show: |row| row.database.pooling.map(show_pooling),
            },
        ),
        default_text: Some("`\"transaction\"`"),
        about: "How long a client keeps its server connection: for a `transaction`, or for its whole `session`.",
    },
    Key {
        path: "statement_timeout",
        field: Field::OptionalDuration(
            |row: &mut DatabaseDraft| &mut row.database.statement_timeout,
            0..=30 * DAY,
        ),
        default_text: Some("`postgres.statement_timeout`"),
        about: "How long a statement may take before it is cancelled; 0 is as long as it takes.",
    },
    Key {
        path: "idle_in_transaction_timeout",
        field: Field::OptionalDuration(
            |row: &mut DatabaseDraft| &mut row.database.idle_in_transaction_timeout,
            0..=30 * DAY,
        ),
        default_text: Some("`postgres.idle_in_transaction_timeout`"),
        about: "How long a client may do nothing with a transaction open; 0 is for ever.",
    },
    Key {
        path: "client_idle_timeout",
        field: Field::OptionalDuration(
            |row: &mut DatabaseDraft| &mut row.database.client_idle_timeout,
            0..=30 * DAY,
        ),
        default_text: Some("`postgres.client_idle_timeout`"),
        about: "How long a client may do nothing outside of a transaction; 0 is for ever.",
    },
];

const USER_KEYS: &[Key<UserDraft>] = &[
    key(
        "name",
        Field::Parsed(
            "a user's name",
            Text {
                set: |row, text| {
                    row.user.name = name(text, false)?;
                    Ok(())
                },
                show: |row| Some(row.user.name.clone()).filter(|name| !name.is_empty()),
            },
        ),
        "What clients log in as.",
    ),
    key(
        "password",
        Field::Secret(
            "a password",
            Text {
                set: |row: &mut UserDraft, text| {
                    if text.is_empty() {
                        return Err("it is empty".to_owned());
                    }
                    row.user.password = Some(text.to_owned());
                    Ok(())
                },
                show: |row| row.user.password.as_ref().map(|_| "***".to_owned()),
            },
        ),
        "What clients prove to know, and what the server is told where the database's URL names no user.",
    ),
    key(
        "password_file",
        Field::Path(|row: &mut UserDraft| &mut row.password_file),
        "A file with the password in it, instead of `password`.",
    ),
    Key {
        path: "pool_size",
        field: Field::OptionalCount(|row: &mut UserDraft| &mut row.user.pool_size, 1..=10_000),
        default_text: Some("that of the database"),
        about: "Server connections of each of the user's pools at most.",
    },
    Key {
        path: "connections_max",
        field: Field::OptionalCount(
            |row: &mut UserDraft| &mut row.user.connections_max,
            0..=100_000,
        ),
        default_text: Some("`postgres.user_connections_max`"),
        about: "Server connections of this role at most, over all databases; 0 is no bound.",
    },
    Key {
        path: "clients_max",
        field: Field::OptionalCount(
            |row: &mut UserDraft| &mut row.user.clients_max,
            0..=1_000_000,
        ),
        default_text: Some("`postgres.user_clients_max`"),
        about: "The user's clients at most; 0 is no bound.",
    },
    Key {
        path: "pooling",
        field: Field::Choice(
            POOLINGS,
            Text {
                set: |row: &mut UserDraft, word| {
                    row.user.pooling = pooling(word);
                    Ok(())
                },
                show: |row| row.user.pooling.map(show_pooling),
            },
        ),
        default_text: Some("that of the database"),
        about: "How long the user's clients keep their server connections.",
    },
    Key {
        path: "statement_timeout",
        field: Field::OptionalDuration(
            |row: &mut UserDraft| &mut row.user.statement_timeout,
            0..=30 * DAY,
        ),
        default_text: Some("that of the database"),
        about: "How long a statement may take before it is cancelled; 0 is as long as it takes.",
    },
    Key {
        path: "idle_in_transaction_timeout",
        field: Field::OptionalDuration(
            |row: &mut UserDraft| &mut row.user.idle_in_transaction_timeout,
            0..=30 * DAY,
        ),
        default_text: Some("that of the database"),
        about: "How long a client may do nothing with a transaction open; 0 is for ever.",
    },
    Key {
        path: "client_idle_timeout",
        field: Field::OptionalDuration(
            |row: &mut UserDraft| &mut row.user.client_idle_timeout,
            0..=30 * DAY,
        ),
        default_text: Some("that of the database"),
        about: "How long a client may do nothing outside of a transaction; 0 is for ever.",
    },
];

const POOLINGS: &[&str] = &["transaction", "session"];

fn pooling(word: &str) -> Option<Pooling> {
    match word {
        "transaction" => Some(Pooling::Transaction),
        "session" => Some(Pooling::Session),
        _ => None,
    }
}

fn show_pooling(pooling: Pooling) -> String {
    match pooling {
        Pooling::Transaction => "transaction".to_owned(),
        Pooling::Session => "session".to_owned(),
    }
}

/// Names are used as they are; but an empty one, or one with a zero in it, nobody can ask for.
fn name(text: &str, may_be_any: bool) -> Result<String, String> {
    match text {
        "" => Err("a name is not empty".to_owned()),
        text if text.contains('\0') => Err("a name has no zero byte in it".to_owned()),
        ANY if !may_be_any => Err("there is no entry for all users".to_owned()),
        text => Ok(text.to_owned()),
    }
}
