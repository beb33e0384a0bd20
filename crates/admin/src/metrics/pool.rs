//! Server connections, and who waits for them.

use std::fmt;
use std::time::Duration;

use paceline_pgproxy::{PoolSnapshot, Stats};

use super::sheet::{Labels, Sheet, bytes, family, seconds};

/// From the first moment of a wait to the longest sensible `wait_timeout`.
const WAIT_BOUNDS: [Duration; 12] = [
    Duration::from_micros(100),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// Name, help, and where the value is.
type Row<T> = (&'static str, &'static str, fn(&PoolSnapshot) -> T);

const GAUGES: [Row<usize>; 2] = [
    (
        "paceline_pool_clients_waiting",
        "Clients that wait for a server connection",
        |pool| pool.waiting,
    ),
    (
        "paceline_pool_connections_pinned",
        "Server connections kept for one client by session state",
        |pool| pool.pinned,
    ),
];

const COUNTERS: [Row<u64>; 7] = [
    (
        "paceline_pool_connects",
        "Server connections opened",
        |pool| pool.connects_total,
    ),
    (
        "paceline_pool_connect_errors",
        "Server connections that could not be opened",
        |pool| pool.connect_errors_total,
    ),
    (
        "paceline_pool_wait_timeouts",
        "Clients that got SQLSTATE 53300",
        |pool| pool.wait_timeouts_total,
    ),
    (
        "paceline_pool_transactions",
        "Transactions that came to their end",
        |pool| pool.done.transactions,
    ),
    (
        "paceline_pool_queries",
        "Statements that came to their end",
        |pool| pool.done.queries,
    ),
    (
        "paceline_pool_prepared_hits",
        "Named statements that were prepared already on the connection",
        |pool| pool.done.prepared_hits,
    ),
    (
        "paceline_pool_prepared_misses",
        "Named statements that had to be prepared on the connection",
        |pool| pool.done.prepared_misses,
    ),
];

pub(super) fn write(sheet: &mut Sheet<'_>, pools: &[PoolSnapshot]) -> fmt::Result {
    let states = pools.iter().flat_map(|pool| {
        let counts = [
            ("idle", pool.idle),
            ("used", pool.used),
            ("opening", pool.opening),
        ];
        counts.map(|(state, count)| {
            let mut labels = labels(pool);
            labels.push(("state", state.to_owned()));
            (labels, count as f64)
        })
    });
    sheet.gauges(
        &family("paceline_pool_connections", "Server connections by state"),
        states,
    )?;
    let most = pools
        .iter()
        .filter_map(|pool| Some((labels(pool), pool.max? as f64)));
    sheet.gauges(
        &family(
            "paceline_pool_connections_max",
            "Server connections at most",
        ),
        most,
    )?;
    for (name, help, of) in GAUGES {
        let series = pools.iter().map(|pool| (labels(pool), of(pool) as f64));
        sheet.gauges(&family(name, help), series)?;
    }
    for (name, help, of) in COUNTERS {
        let series = pools.iter().map(|pool| (labels(pool), of(pool) as f64));
        sheet.counters(&family(name, help), series)?;
    }
    done(sheet, pools)?;
    let wait = seconds(
        "paceline_pool_wait_duration",
        "How long those clients waited that did not get a server connection at once",
    );
    sheet.histograms(
        &wait,
        &WAIT_BOUNDS,
        pools.iter().map(|pool| (labels(pool), &pool.waits)),
    )
}

/// What has a label of its own.
fn done(sheet: &mut Sheet<'_>, pools: &[PoolSnapshot]) -> fmt::Result {
    let received = pools.iter().flat_map(|pool| {
        [
            (
                labelled(pool, "from", "clients"),
                pool.done.bytes_from_clients as f64,
            ),
            (
                labelled(pool, "from", "servers"),
                pool.done.bytes_from_servers as f64,
            ),
        ]
    });
    sheet.counters(
        &bytes(
            "paceline_pool_received",
            "Bytes received from either side of the pool",
        ),
        received,
    )?;
    let errors = pools.iter().flat_map(|pool| {
        let series =
            |(class, count): &(&str, u64)| (labelled(pool, "sqlstate_class", class), *count as f64);
        pool.done.errors.iter().map(series)
    });
    sheet.counters(
        &family(
            "paceline_pool_errors",
            "Errors that the server answered clients with, by the first two characters of their SQLSTATE",
        ),
        errors,
    )?;
    let pinned = pools.iter().flat_map(|pool| {
        let series =
            |(reason, count): (&str, usize)| (labelled(pool, "reason", reason), count as f64);
        pool.pins.map(series)
    });
    sheet.gauges(
        &family(
            "paceline_pool_connections_pinned_by",
            "Server connections kept for one client, by what it holds; several reasons may hold one",
        ),
        pinned,
    )?;
    let pins = pools.iter().flat_map(|pool| {
        let series =
            |(reason, count): (&str, u64)| (labelled(pool, "reason", reason), count as f64);
        pool.pins_total.map(series)
    });
    sheet.counters(
        &family(
            "paceline_pool_pins",
            "How often a server connection became one client's, by what it held",
        ),
        pins,
    )
}

/// The clients' side of the Postgres half.
pub(super) fn clients(sheet: &mut Sheet<'_>, stats: &Stats) -> fmt::Result {
    let clients = stats
        .clients_per_worker
        .iter()
        .enumerate()
        .map(|(worker, clients)| (vec![("worker", worker.to_string())], *clients as f64));
    sheet.gauges(
        &family(
            "paceline_pgproxy_clients",
            "Database clients of each worker",
        ),
        clients,
    )?;
    let one = |value: u64| [(Labels::new(), value as f64)];
    let transactions = family(
        "paceline_pgproxy_transactions",
        "Transactions that came to their end",
    );
    sheet.counters(&transactions, one(stats.transactions_total))?;
    let memory = bytes(
        "paceline_pgproxy_statement_memory",
        "Memory of large statement texts under way and of prepared ones",
    );
    sheet.gauges(&memory, one(stats.statement_bytes as u64))?;
    let sent = [
        ("clients", stats.bytes_from_clients_total),
        ("servers", stats.bytes_from_servers_total),
    ];
    let sent = sent.map(|(from, bytes)| (vec![("from", from.to_owned())], bytes as f64));
    sheet.counters(
        &bytes(
            "paceline_pgproxy_received",
            "Bytes received from either side",
        ),
        sent,
    )
}

fn labelled(pool: &PoolSnapshot, name: &'static str, value: &str) -> Labels {
    let mut labels = labels(pool);
    labels.push((name, value.to_owned()));
    labels
}

fn labels(pool: &PoolSnapshot) -> Labels {
    vec![
        ("database", pool.database.clone()),
        ("user", pool.user.clone()),
    ]
}
