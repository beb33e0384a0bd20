//! What can be looked at: PgBouncer's columns where they mean the same, ours behind them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_listen::Setting;

use super::command::Show;
use super::stats;
use super::table::{Column, Kind::*, Row, Table, cell};
use crate::config::{Config, Pooling};
use crate::databases::Target;
use crate::proxy::Proxy;
use crate::roster::{ClientCard, ClientState, Origin, ServerCard};

/// The table for a command. `HELP` has none; it is a notice.
pub(super) fn table(proxy: &Proxy, show: Show) -> Option<Table> {
    Some(match show {
        Show::Help => return None,
        Show::Clients => sockets(clients(proxy)),
        Show::Servers => sockets(servers(proxy)),
        Show::Sockets => sockets(clients(proxy).chain(servers(proxy))),
        Show::Config => config(proxy),
        Show::Databases => databases(proxy),
        Show::Lists => lists(proxy),
        Show::Mem => memory(proxy),
        Show::Pools => pools(proxy),
        Show::State => state(proxy),
        Show::Stats => stats::all(proxy),
        Show::StatsTotals => stats::totals(proxy),
        Show::StatsAverages => stats::averages(proxy),
        Show::Totals => stats::sums(proxy),
        Show::Users => users(proxy),
        Show::Version => Table::single("version", super::VERSION),
    })
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

fn sockets(rows: impl Iterator<Item = Row>) -> Table {
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
        let address = |address: Option<SocketAddr>| match address {
            Some(address) => [cell(address.ip()), cell(address.port())],
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

fn clients(proxy: &Proxy) -> impl Iterator<Item = Row> {
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
            since: card.since,
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

fn servers(proxy: &Proxy) -> impl Iterator<Item = Row> {
    proxy.means.roster.servers().into_iter().map(|card| {
        let card: &ServerCard = &card;
        let client = card.client();
        Socket {
            kind: "S",
            origin: &card.origin,
            state: if client.is_some() { "active" } else { "idle" },
            since: card.since,
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

fn pools(proxy: &Proxy) -> Table {
    let mut table = Table::new(&[
        ("database", Text),
        ("user", Text),
        ("cl_active", Int4),
        ("cl_waiting", Int4),
        ("cl_active_cancel_req", Int4),
        ("cl_waiting_cancel_req", Int4),
        ("sv_active", Int4),
        ("sv_active_cancel", Int4),
        ("sv_being_canceled", Int4),
        ("sv_idle", Int4),
        ("sv_used", Int4),
        ("sv_tested", Int4),
        ("sv_login", Int4),
        ("maxwait", Int4),
        ("maxwait_us", Int4),
        ("pool_mode", Text),
        ("load_balance_hosts", Text),
        ("sv_pinned", Int4),
        ("sv_idle_in_transaction", Int4),
    ]);
    let (cards, now) = (proxy.means.roster.clients(), Instant::now());
    for target in proxy.databases.targets() {
        let pool = target.snapshot(now);
        let clients = clients_of(&cards, &target);
        let waited = pool.longest_wait.unwrap_or_default();
        let none = || cell(0);
        table.row([
            cell(&target.database),
            cell(&target.user),
            cell(clients.saturating_sub(pool.waiting)),
            cell(pool.waiting),
            none(),
            none(),
            cell(pool.used),
            none(),
            none(),
            cell(pool.idle),
            none(),
            none(),
            cell(pool.opening),
            cell(waited.as_secs()),
            cell(waited.subsec_micros()),
            cell(mode(target.settings().pooling)),
            None,
            cell(pool.pinned),
            cell(pool.idle_in_transaction),
        ]);
    }
    table
}

fn databases(proxy: &Proxy) -> Table {
    let mut table = Table::new(&[
        ("name", Text),
        ("host", Text),
        ("port", Int4),
        ("database", Text),
        ("force_user", Text),
        ("pool_size", Int4),
        ("min_pool_size", Int4),
        ("reserve_pool_size", Int4),
        ("server_lifetime", Int4),
        ("pool_mode", Text),
        ("load_balance_hosts", Text),
        ("max_connections", Int4),
        ("current_connections", Int4),
        ("max_client_connections", Int4),
        ("current_client_connections", Int4),
        ("paused", Int4),
        ("disabled", Int4),
    ]);
    let config = proxy.config();
    let (targets, now) = (proxy.databases.targets(), Instant::now());
    let cards = proxy.means.roster.clients();
    for database in &config.databases {
        let url = &database.url;
        let of_it = targets
            .iter()
            .filter(|target| target.database == database.name);
        let open: usize = of_it.map(|target| target.snapshot(now).open).sum();
        let clients = cards
            .iter()
            .filter(|card| card.origin.database == database.name);
        table.row([
            cell(&database.name),
            cell(&url.host),
            cell(url.port),
            cell(&url.database),
            url.names_user.then(|| url.user.clone()),
            cell(config.size_of(database, None)),
            cell(database.pool_size_min.unwrap_or(config.pool_size_min)),
            cell(database.reserve_size.unwrap_or(config.reserve_size)),
            cell(config.lifetime_max.as_secs()),
            database.pooling.map(|pooling| mode(pooling).to_owned()),
            None,
            cell(
                database
                    .connections_max
                    .unwrap_or(config.database_connections_max),
            ),
            cell(open),
            cell(database.clients_max.unwrap_or(config.database_clients_max)),
            cell(clients.count()),
            cell(u8::from(proxy.orders.is_paused(&database.name))),
            cell(u8::from(proxy.orders.is_disabled(&database.name))),
        ]);
    }
    table
}

fn users(proxy: &Proxy) -> Table {
    let mut table = Table::new(&[
        ("name", Text),
        ("pool_size", Text),
        ("reserve_pool_size", Text),
        ("pool_mode", Text),
        ("max_user_connections", Int4),
        ("current_connections", Int4),
        ("max_user_client_connections", Int4),
        ("current_client_connections", Int4),
    ]);
    let (config, now) = (proxy.config(), Instant::now());
    let (targets, cards) = (proxy.databases.targets(), proxy.means.roster.clients());
    for name in user_names(&config, &targets) {
        let user = config.user(&name);
        let own = targets.iter().filter(|target| target.user == name);
        let open: usize = own.map(|target| target.snapshot(now).open).sum();
        let clients = cards.iter().filter(|card| card.origin.user == name).count();
        let connections = user.and_then(|user| user.connections_max);
        let clients_max = user.and_then(|user| user.clients_max);
        table.row([
            cell(&name),
            cell(
                user.and_then(|user| user.pool_size)
                    .map_or(String::new(), |size| size.to_string()),
            ),
            cell(""),
            user.and_then(|user| user.pooling)
                .map(|pooling| mode(pooling).to_owned()),
            cell(connections.unwrap_or(config.user_connections_max)),
            cell(open),
            cell(clients_max.unwrap_or(config.user_clients_max)),
            cell(clients),
        ]);
    }
    table
}

fn user_names(config: &Config, targets: &[Arc<Target>]) -> Vec<String> {
    let configured = config.users.iter().map(|user| user.name.clone());
    let in_use = targets.iter().map(|target| target.user.clone());
    let mut names: Vec<_> = configured.chain(in_use).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn lists(proxy: &Proxy) -> Table {
    let mut table = Table::new(&[("list", Text), ("items", Int4)]);
    let (config, targets) = (proxy.config(), proxy.databases.targets());
    let clients = proxy.means.roster.clients().len();
    let rows = [
        ("databases", config.databases.len()),
        ("users", user_names(&config, &targets).len()),
        ("peers", 0),
        ("pools", targets.len()),
        ("peer_pools", 0),
        ("free_clients", 0),
        ("used_clients", clients),
        // Whoever is connected and not in the roster yet, the consoles among them.
        (
            "login_clients",
            proxy.workers.clients_total().saturating_sub(clients),
        ),
        ("free_servers", 0),
        ("used_servers", proxy.means.roster.servers().len()),
        ("dns_names", 0),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ];
    for (list, items) in rows {
        table.row([cell(list), cell(items)]);
    }
    table
}

fn config(proxy: &Proxy) -> Table {
    let mut table = Table::new(&[
        ("key", Text),
        ("value", Text),
        ("default", Text),
        ("changeable", Text),
    ]);
    // The two that monitoring asks for under PgBouncer's names.
    let config = proxy.config();
    for (key, value) in [
        ("max_client_conn", config.clients_max),
        ("max_user_connections", config.user_connections_max),
    ] {
        table.row([cell(key), cell(value), None, cell("yes")]);
    }
    let settings = proxy.control.get().map(|control| control.settings());
    for setting in settings.iter().flat_map(|settings| settings.iter()) {
        let Setting {
            key,
            value,
            default,
            reloadable,
        } = setting;
        let changeable = if *reloadable { "yes" } else { "no" };
        table.row([cell(key), value.clone(), default.clone(), cell(changeable)]);
    }
    table
}

fn state(proxy: &Proxy) -> Table {
    let mut table = Table::new(&[("key", Text), ("value", Text)]);
    let paused = proxy.orders.all_paused();
    let yes = |is: bool| cell(if is { "yes" } else { "no" });
    table.row([cell("active"), yes(!paused)]);
    table.row([cell("paused"), yes(paused)]);
    table.row([cell("suspended"), yes(false)]);
    table
}

/// What is kept for each connection, in numbers; the sizes are those of the parts that always exist.
fn memory(proxy: &Proxy) -> Table {
    let mut table = Table::new(&[
        ("name", Text),
        ("size", Int4),
        ("used", Int4),
        ("free", Int4),
        ("memtotal", Int4),
    ]);
    let rows = [
        (
            "client_cache",
            size_of::<crate::client::Client>(),
            proxy.means.roster.clients().len(),
        ),
        (
            "server_cache",
            size_of::<crate::server::ServerConnection>(),
            proxy.means.roster.servers().len(),
        ),
        (
            "pool_cache",
            size_of::<Target>(),
            proxy.databases.targets().len(),
        ),
    ];
    for (name, size, used) in rows {
        table.row([
            cell(name),
            cell(size),
            cell(used),
            cell(0),
            cell(size * used),
        ]);
    }
    table
}

fn clients_of(cards: &[Arc<ClientCard>], target: &Target) -> usize {
    let role = |card: &&Arc<ClientCard>| {
        card.origin.database == target.database
            && (card.origin.user == target.user || target.server.url().names_user)
    };
    cards.iter().filter(role).count()
}

fn mode(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Transaction => "transaction",
        Pooling::Session => "session",
    }
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
