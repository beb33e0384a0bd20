//! Rules on sessions: what they do right now.

mod connections;
mod idle_in_transaction;
mod lock_waits;
mod long_transaction;

use paceline_catalogue::Session;

use crate::render::units::cut;
use crate::rule::Rule;

pub(super) const RULES: &[Rule] = &[
    lock_waits::RULE,
    long_transaction::RULE,
    idle_in_transaction::RULE,
    connections::RULE,
];

/// `Session 7 (worker, role app)`.
fn named(session: &Session) -> String {
    match session.application.as_str() {
        "" => format!("Session {} (role {})", session.pid, session.user),
        application => format!(
            "Session {} ({application}, role {})",
            session.pid, session.user
        ),
    }
}

/// Its statement on one line.
fn statement(session: &Session) -> String {
    match session
        .statement
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
    {
        text if text.is_empty() => "not shown to this role".to_owned(),
        text => cut(&text),
    }
}
