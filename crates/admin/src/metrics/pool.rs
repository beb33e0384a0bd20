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

const COUNTERS: [Row<u64>; 3] = [
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
    let pins = pools.iter().flat_map(|pool| {
        pool.pins_total.map(|(reason, count)| {
            let mut labels = labels(pool);
            labels.push(("reason", reason.to_owned()));
            (labels, count as f64)
        })
    });
    sheet.counters(
        &family(
            "paceline_pool_pins",
            "Times that a client began to keep its server connection",
        ),
        pins,
    )?;
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

fn labels(pool: &PoolSnapshot) -> Labels {
    vec![
        ("database", pool.database.clone()),
        ("user", pool.user.clone()),
    ]
}
