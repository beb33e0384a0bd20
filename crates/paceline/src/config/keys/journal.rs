//! `[journal]`: what is remembered.

use paceline_journal::RouteTemplate;

use super::{Key, key, sentence, texts};
use crate::config::field::{Field, List};

pub(super) const KEYS: &[Key] = &[
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
];
