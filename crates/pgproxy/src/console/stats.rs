//! `SHOW STATS` and its kin: what was done, since the start and within the last minute.

use std::time::{Duration, Instant};

use super::table::{Column, Kind::*, Row, Table, cell};
use crate::databases::Totals;
use crate::proxy::Proxy;

/// `SHOW STATS`.
pub(super) fn all(proxy: &Proxy) -> Table {
    table(proxy, STATS, |totals, average| {
        [total_cells(totals), average_cells(average)].concat()
    })
}

/// `SHOW STATS_TOTALS`.
pub(super) fn totals(proxy: &Proxy) -> Table {
    table(proxy, STATS_TOTALS, |totals, _| total_cells(totals))
}

/// `SHOW STATS_AVERAGES`.
pub(super) fn averages(proxy: &Proxy) -> Table {
    table(proxy, STATS_TOTALS, |_, average| average_cells(average))
}

const STATS: &[Column] = &[
    ("database", Text),
    ("total_server_assignment_count", Numeric),
    ("total_xact_count", Numeric),
    ("total_query_count", Numeric),
    ("total_received", Numeric),
    ("total_sent", Numeric),
    ("total_xact_time", Numeric),
    ("total_query_time", Numeric),
    ("total_wait_time", Numeric),
    ("total_client_parse_count", Numeric),
    ("total_server_parse_count", Numeric),
    ("total_bind_count", Numeric),
    ("total_client_login_count", Numeric),
    ("avg_server_assignment_count", Numeric),
    ("avg_xact_count", Numeric),
    ("avg_query_count", Numeric),
    ("avg_recv", Numeric),
    ("avg_sent", Numeric),
    ("avg_xact_time", Numeric),
    ("avg_query_time", Numeric),
    ("avg_wait_time", Numeric),
    ("avg_client_parse_count", Numeric),
    ("avg_server_parse_count", Numeric),
    ("avg_bind_count", Numeric),
    ("avg_client_login_count", Numeric),
];

const STATS_TOTALS: &[Column] = &[
    ("database", Text),
    ("server_assignment_count", Numeric),
    ("xact_count", Numeric),
    ("query_count", Numeric),
    ("bytes_received", Numeric),
    ("bytes_sent", Numeric),
    ("xact_time", Numeric),
    ("query_time", Numeric),
    ("wait_time", Numeric),
    ("client_parse_count", Numeric),
    ("server_parse_count", Numeric),
    ("bind_count", Numeric),
    ("client_login_count", Numeric),
];

/// Sums, and what came within a time.
type Average = (Totals, Duration);

fn table(proxy: &Proxy, columns: &[Column], row: impl Fn(Totals, Average) -> Row) -> Table {
    let mut table = Table::new(columns);
    for (database, totals, average) in by_database(proxy) {
        table.row([vec![Some(database)], row(totals, average)].concat());
    }
    table
}

/// `SHOW TOTALS`: over all databases, a row for each number.
pub(super) fn sums(proxy: &Proxy) -> Table {
    let mut table = Table::new(&[("name", Text), ("value", Numeric)]);
    let (mut sum, mut average) = (Totals::default(), (Totals::default(), Duration::ZERO));
    for (_, totals, (recent, time)) in by_database(proxy) {
        sum = sum.plus(totals);
        average = (average.0.plus(recent), average.1.max(time));
    }
    let values = [total_cells(sum), average_cells(average)].concat();
    for ((name, _), value) in STATS[1..].iter().zip(values) {
        table.row([cell(name), value]);
    }
    table
}

/// The sums of each database over its users, in the order of the names.
fn by_database(proxy: &Proxy) -> Vec<(String, Totals, Average)> {
    let now = Instant::now();
    let mut rows: Vec<(String, Totals, Average)> = Vec::new();
    for target in proxy.databases.targets() {
        let totals = target.tally.read();
        let (recent, time) = target.last_period(totals, now);
        match rows.last_mut() {
            Some((database, sum, average)) if *database == target.database => {
                *sum = sum.plus(totals);
                *average = (average.0.plus(recent), average.1.max(time));
            }
            _ => rows.push((target.database.clone(), totals, (recent, time))),
        }
    }
    rows
}

/// Bytes are named as by PgBouncer: received from clients, sent to them.
fn total_cells(totals: Totals) -> Row {
    vec![
        cell(totals.assignments),
        cell(totals.transactions),
        cell(totals.queries),
        cell(totals.from_clients),
        cell(totals.from_servers),
        cell(totals.held_us),
        cell(totals.query_us),
        cell(totals.wait_us),
        cell(totals.client_parses),
        cell(totals.server_parses),
        cell(totals.binds),
        cell(totals.logins),
    ]
}

/// Counts are for each second, times for each transaction, statement and assignment.
fn average_cells((recent, time): Average) -> Row {
    let seconds = time.as_secs().max(1);
    let rate = |count: u64| cell(count / seconds);
    let each = |sum: u64, count: u64| cell(sum / count.max(1));
    vec![
        rate(recent.assignments),
        rate(recent.transactions),
        rate(recent.queries),
        rate(recent.from_clients),
        rate(recent.from_servers),
        each(recent.held_us, recent.transactions),
        each(recent.query_us, recent.queries),
        each(recent.wait_us, recent.assignments),
        rate(recent.client_parses),
        rate(recent.server_parses),
        rate(recent.binds),
        rate(recent.logins),
    ]
}
