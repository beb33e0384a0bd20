//! `[gateway]`: the HTTP half.

use paceline_gateway::Upstream;

use super::{DAY, HOUR, Key, key, sentence};
use crate::config::field::{Field, Text};
use crate::config::units;

pub(super) const KEYS: &[Key] = &[
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
];

const UPSTREAM_FORM: &str = "a URL such as \"http://127.0.0.1:3000\"";

/// Reads the application's URL. What it should look like is said by whoever reports the problem.
fn upstream(text: &str) -> Result<Upstream, String> {
    Upstream::parse(text).map_err(|error| match error {
        paceline_gateway::Error::Upstream { reason, .. } => reason.to_owned(),
        other => sentence(other),
    })
}
