//! `SHOW CLIENTS`, `SERVERS` and `SOCKETS`: each connection, in the same columns.

use std::time::Duration;

use super::table::{Column, Kind::*, Row, Table, cell};
use crate::proxy::Proxy;
use crate::roster::{Address, ClientCard, ClientState, Origin, ServerCard};

/// `SHOW CLIENTS`.
pub(super) fn clients(proxy: &Proxy) -> Table {
    table(client_rows(proxy))
}

/// `SHOW SERVERS`.
pub(super) fn servers(proxy: &Proxy) -> Table {
    table(server_rows(proxy))
}

/// `SHOW SOCKETS`.
pub(super) fn all(proxy: &Proxy) -> Table {
    table(client_rows(proxy).chain(server_rows(proxy)))
}

const SOCKETS: &[Column] = &[
    ("type", Text),
    ("user", Text),
    ("database", Text),
    ("replication", Text),
    ("state", Text),
    ("addr", Text),
    ("port", Int4),
    ("local_addr", Text),
    ("local_port", Int4),
    ("connect_time", Text),
    ("request_time", Text),
    ("wait", Int4),
    ("wait_us", Int4),
    ("close_needed", Int4),
    ("ptr", Text),
    ("link", Text),
    ("remote_pid", Int4),
    ("tls", Text),
    ("application_name", Text),
    ("prepared_statements", Int4),
    ("id", Int4),
];

fn table(rows: impl Iterator<Item = Row>) -> Table {
    let mut table = Table::new(SOCKETS);
    rows.for_each(|row| table.row(row));
    table
}

/// What differs between clients and servers.
struct Socket<'a> {
    kind: &'static str,
    origin: &'a Origin,
    state: &'static str,
    since: u64,
    asked: u64,
    id: u64,
    link: Option<u64>,
    remote_pid: u32,
    application: &'a str,
    wait: Duration,
    prepared: usize,
    close_needed: bool,
}

impl Socket<'_> {
    fn row(&self) -> Row {
        let address = |address: Address| match address.get() {
            Some((ip, port)) => [cell(ip), cell(port)],
            None => [cell("unix"), cell(0)],
        };
        let [addr, port] = address(self.origin.remote);
        let [local_addr, local_port] = address(self.origin.local);
        let encrypted = if self.origin.is_encrypted { "TLS" } else { "" };
        vec![
            cell(self.kind),
            cell(&self.origin.user),
            cell(&self.origin.database),
            cell("none"),
            cell(self.state),
            addr,
            port,
            local_addr,
            local_port,
            cell(time(self.since)),
            cell(time(self.asked)),
            cell(self.wait.as_secs()),
            cell(self.wait.subsec_micros()),
            cell(u8::from(self.close_needed)),
            cell(pointer(self.id)),
            cell(self.link.map(pointer).unwrap_or_default()),
            cell(self.remote_pid),
            cell(encrypted),
            cell(self.application),
            cell(self.prepared),
            cell(self.id),
        ]
    }
}

fn client_rows(proxy: &Proxy) -> impl Iterator<Item = Row> {
    let now = proxy.means.roster.now();
    proxy.means.roster.clients().into_iter().map(move |card| {
        let card: &ClientCard = &card;
        let state = card.state();
        let waited = now.saturating_sub(card.asked());
        Socket {
            kind: "C",
            origin: &card.origin,
            state: match state {
                ClientState::Idle => "idle",
                ClientState::Active => "active",
                ClientState::Waiting => "waiting",
            },
            since: card.since.into(),
            asked: card.asked(),
            id: card.id,
            link: card.server(),
            remote_pid: 0,
            application: &card.application,
            wait: Duration::from_secs(if state == ClientState::Waiting {
                waited
            } else {
                0
            }),
            prepared: 0,
            close_needed: card.is_killed(),
        }
        .row()
    })
}

fn server_rows(proxy: &Proxy) -> impl Iterator<Item = Row> {
    proxy.means.roster.servers().into_iter().map(|card| {
        let card: &ServerCard = &card;
        let client = card.client();
        Socket {
            kind: "S",
            origin: &card.origin,
            state: if client.is_some() { "active" } else { "idle" },
            since: card.since.into(),
            asked: card.asked(),
            id: card.id,
            link: client,
            remote_pid: card.process_id,
            application: "",
            wait: Duration::ZERO,
            prepared: card.prepared(),
            close_needed: false,
        }
        .row()
    })
}

/// Numbers tell connections apart as well as addresses do.
fn pointer(id: u64) -> String {
    format!("0x{id:x}")
}

/// `2026-01-31 12:00:00 UTC`, from seconds since 1970.
fn time(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The date so many days after the first of January 1970, by cycles of 400 years that begin in March.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (
        day_of_year - (153 * shifted + 2) / 5 + 1,
        (shifted + 2) % 12 + 1,
    );
    (cycle * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_772_323_199, "2026-02-28 23:59:59 UTC"),
            (1_772_323_200, "2026-03-01 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(time(seconds), expected);
        }
    }
}
