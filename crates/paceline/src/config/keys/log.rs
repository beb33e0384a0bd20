//! `[log]`: the log on stderr.

use super::{Key, key};
use crate::config::draft::LogFormat;
use crate::config::field::{Field, Text};

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
];

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];
