//! `[log]`: the log on stderr.

use super::{Key, key};
use crate::config::draft::LogFormat;
use crate::config::field::{Field, Text};
use crate::config::units;

pub(super) const KEYS: &[Key] = &[
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
    key(
        "log.slow_query",
        Field::Parsed(
            "a duration such as \"100ms\", or \"off\"",
            Text {
                set: |draft, text| {
                    draft.postgres.slow_query = match text {
                        "off" => None,
                        text => Some(units::parse_duration(text)?),
                    };
                    Ok(())
                },
                show: |draft| {
                    let slow = draft.postgres.slow_query;
                    Some(slow.map_or("off".to_owned(), units::show_duration))
                },
            },
        ),
        "SQL statements that take this long or longer are logged one by one, at most ten a second. Literals are not logged.",
    ),
    key(
        "log.slow_query_parameters",
        Field::Flag(|draft| &mut draft.postgres.slow_query_parameters),
        "Whether these lines show the parameters as well: 20 at most, and 200 bytes of each.",
    ),
];

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];
