//! `[diagnose]`: where findings are looked for; `[[diagnose.suppress]]`: those that nobody wants to see again.

use paceline_diagnose::Suppression;

use super::{DATABASE_FORM, Key, database_url, key};
use crate::config::field::{Field, Text};
use crate::config::rows::{Array, Rows};
use crate::config::suppress::SUPPRESS;

pub(super) const KEYS: &[Key] = &[
    key(
        "diagnose.reads_database",
        Field::Flag(|draft| &mut draft.look.wanted),
        "Whether a running instance, when it is asked for findings, also reads what its database says of itself: one read-only transaction over a connection of its own, at most once a minute, and never unasked.",
    ),
    Key {
        path: "diagnose.database",
        field: Field::Secret(
            DATABASE_FORM,
            Text {
                set: |draft, text| {
                    draft.look.url = Some(database_url(text)?);
                    Ok(())
                },
                show: |draft| draft.look.url.as_ref().map(ToString::to_string),
            },
        ),
        default_text: Some(
            "`postgres.url`, or the first of `[[postgres.databases]]`, whose URL names a user",
        ),
        about: "The database that is read for that, with a role of its own (in `pg_monitor` it sees more).",
    },
    key(
        "diagnose.database_file",
        Field::Path(|draft| &mut draft.look.url_file),
        "A file with that URL in it, instead of `database`.",
    ),
    key(
        "diagnose.password_file",
        Field::Path(|draft| &mut draft.look.password_file),
        "A file with the password in it, for a URL without one.",
    ),
];

pub(super) const ARRAYS: &[&dyn Array] = &[&Rows {
    path: SUPPRESS,
    about: "Findings that are counted and listed with their reason, and not reported. Each needs a `reason`, and an `id`, a `rule` or a `subject`; of these, all that are given must hold. `paceline diagnose --config FILE` reads them, and so does a running instance.",
    keys: SUPPRESSION_KEYS,
    place: |draft| &mut draft.suppressions,
    name: None,
}];

const SUPPRESSION_KEYS: &[Key<Suppression>] = &[
    key(
        "id",
        Field::Parsed(
            "the id of a finding",
            Text {
                set: |row, text| put(&mut row.id, text),
                show: |row| row.id.clone(),
            },
        ),
        "The id of one finding, as it is reported.",
    ),
    key(
        "rule",
        Field::Parsed(
            "the name of a rule",
            Text {
                set: |row, text| {
                    if paceline_diagnose::rules().all(|rule| rule.name != text) {
                        return Err(format!("there is no rule {text:?}"));
                    }
                    put(&mut row.rule, text)
                },
                show: |row| row.rule.clone(),
            },
        ),
        "Findings of this rule.",
    ),
    key(
        "subject",
        Field::Parsed(
            "the name of what findings are about",
            Text {
                set: |row, text| put(&mut row.subject, text),
                show: |row| row.subject.clone(),
            },
        ),
        "Findings about this route, table, index …, for instance `public.audit_*`. `*` stands for any characters.",
    ),
    key(
        "reason",
        Field::Parsed(
            "a sentence",
            Text {
                set: |row, text| {
                    text.clone_into(&mut row.reason);
                    not_empty(text)
                },
                show: |row| Some(row.reason.clone()).filter(|reason| !reason.is_empty()),
            },
        ),
        "Why. It is shown with the findings that are not reported.",
    ),
];

fn put(place: &mut Option<String>, text: &str) -> Result<(), String> {
    *place = Some(text.to_owned());
    not_empty(text)
}

fn not_empty(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(())
}
