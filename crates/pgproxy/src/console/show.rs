//! What can be looked at: PgBouncer's columns where they mean the same, ours behind them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use paceline_listen::Setting;

use super::command::Show;
use super::table::{Kind::*, Table, cell};
use super::{sockets, stats};
use crate::config::{Config, Pooling};
use crate::databases::Target;
use crate::proxy::Proxy;
use crate::roster::Origin;

/// The table for a command. `HELP` has none; it is a notice.
pub(super) fn table(proxy: &Proxy, show: Show) -> Option<Table> {
    Some(match show {
        Show::Help => return None,
        Show::Clients => sockets::clients(proxy),
        Show::Servers => sockets::servers(proxy),
        Show::Sockets => sockets::all(proxy),
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
    let (here, now) = (Here::new(proxy), Instant::now());
    for target in &here.targets {
        let pool = target.snapshot(now);
        // Where they share a role, whoever they are.
        let is_shared = target.server.url().names_user;
        let clients = here.clients(|database, user| {
            database == target.database && (is_shared || user == target.user)
        });
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

/// Who is here when a table begins.
struct Here {
    targets: Vec<Arc<Target>>,
    /// How many clients have asked for which database as which user.
    clients: HashMap<(String, String), usize>,
}

impl Here {
    fn new(proxy: &Proxy) -> Self {
        let mut clients = HashMap::new();
        for card in proxy.means.roster.clients() {
            let Origin { database, user, .. } = &card.origin;
            let (database, user) = (database.to_string(), user.to_string());
            *clients.entry((database, user)).or_default() += 1;
        }
        let targets = proxy.databases.targets();
        Self { targets, clients }
    }

    /// The server connections of which this holds, by database and role.
    fn open(&self, which: impl Fn(&str, &str) -> bool) -> usize {
        let targets = self.targets.iter();
        let targets = targets.filter(|target| which(&target.database, &target.user));
        targets.map(|target| target.fullness().open).sum()
    }

    /// The clients of whom this holds, by database and user.
    fn clients(&self, which: impl Fn(&str, &str) -> bool) -> usize {
        let clients = self.clients.iter();
        let clients = clients.filter(|((database, user), _)| which(database, user));
        clients.map(|(_, count)| count).sum()
    }
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
    let here = Here::new(proxy);
    for database in &config.databases {
        let url = &database.url;
        let of_it = |name: &str, _: &str| name == database.name;
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
            cell(here.open(of_it)),
            cell(database.clients_max.unwrap_or(config.database_clients_max)),
            cell(here.clients(of_it)),
            cell(u8::from(proxy.databases.is_held(Some(&database.name)))),
            cell(u8::from(proxy.databases.is_disabled(&database.name))),
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
    let (config, here) = (proxy.config(), Here::new(proxy));
    for name in user_names(&config, &here.targets) {
        let user = config.user(&name);
        let own = |_: &str, user: &str| user == name;
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
            cell(here.open(own)),
            cell(clients_max.unwrap_or(config.user_clients_max)),
            cell(here.clients(own)),
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
    let paused = proxy.databases.is_held(None);
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

fn mode(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Transaction => "transaction",
        Pooling::Session => "session",
    }
}
