//! A running Paceline: [`run`] is the list of steps from a configuration to the end of the process.

mod admin;
mod database;
mod limits;
mod log;
mod signals;
mod sockets;
mod workers;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use paceline_gateway::Gateway;
use paceline_journal::Journal;
use paceline_listen::drain;
use paceline_pgproxy::Proxy;
use paceline_sql::{Limits, Statements};
use tracing::{info, warn};

use crate::commands::COULD_NOT_RUN;
use crate::config::{Config, Problem};
use sockets::{Addresses, Sockets};
use workers::Workers;

/// The halves that run; workers share them.
#[derive(Debug, Clone)]
struct Halves {
    gateway: Option<Arc<Gateway>>,
    proxy: Option<Arc<Proxy>>,
}

/// Runs until a signal, or until a part fails.
pub(crate) fn run(config: Config, warnings: &[Problem]) -> anyhow::Result<ExitCode> {
    log::start(config.log);
    for warning in warnings {
        warn!(place = %warning.origin, key = warning.key, hint = warning.hint, "{}.", warning.message);
    }
    limits::raise_descriptors();
    // 1. Every socket first: a port in use is told before anything happens.
    let sockets = Sockets::bind(&config)?;
    // 2. The parts.
    let journal = Journal::new(config.journal.clone());
    let halves = halves(&config, &journal)?;
    // 3. The database, once: a wrong password is told here, not to the first client.
    if let Some(proxy) = &halves.proxy {
        database::check(proxy, config.database_required_at_start)?;
    }
    let (leave, leaving) = drain();
    let (stop_accepting, accepting_ends) = drain();
    let (end_admin, admin_ends) = drain();
    // 4. From here on it serves.
    let mut signals = signals::Signals::new()?;
    let admin = admin::start(
        &config,
        sockets.admin,
        &journal,
        &halves,
        leaving,
        admin_ends,
    )?;
    let mut workers = Workers::start(sockets.workers, &halves, &accepting_ends)?;
    announce(&config, &sockets.addresses);
    // 5. Until somebody says so, or something breaks.
    let end = signals.wait(&mut workers);
    // 6. Not ready first, so that balancers look elsewhere; then no new connections; then nothing.
    leave.start();
    let hurried = signals.pause(config.drain_delay);
    stop_accepting.start();
    let limit = if hurried {
        Duration::ZERO
    } else {
        config.drain_timeout
    };
    let drained = signals.drain(workers, limit);
    end_admin.start();
    let _ = admin.join();
    match drained {
        signals::Drained::Completely => info!("All connections came to their end."),
        signals::Drained::TimeOver => {
            warn!("Some connections were cut, because drain_timeout was over.")
        }
        signals::Drained::Hurried => warn!("Connections were cut, because a second signal came."),
    }
    Ok(match end {
        signals::End::Signal => ExitCode::SUCCESS,
        signals::End::WorkerFailed => ExitCode::from(COULD_NOT_RUN),
    })
}

/// Says where it listens.
fn announce(config: &Config, addresses: &Addresses) {
    if let (Some(gateway), Some(listen)) = (&config.gateway, addresses.http) {
        info!(%listen, upstream = %gateway.upstream, "Listening for HTTP.");
    }
    if let (Some(postgres), Some(listen)) = (&config.postgres, addresses.postgres) {
        info!(%listen, database = %postgres.main_url(), "Listening for Postgres clients.");
    }
    info!(listen = %addresses.admin, "Listening for health, metrics and API.");
    info!(
        mode = config.mode.word(),
        workers = config.workers,
        version = env!("CARGO_PKG_VERSION"),
        "Paceline is running."
    );
}

fn halves(config: &Config, journal: &Arc<Journal>) -> anyhow::Result<Halves> {
    let gateway = match &config.gateway {
        Some(gateway) => Some(Gateway::new(gateway.clone(), Arc::clone(journal))?),
        None => None,
    };
    let proxy = match &config.postgres {
        Some(postgres) => {
            let limits = Limits {
                shapes_max: config.journal.shapes_max,
                trusted_functions: config.trusted_functions.clone(),
                ..Limits::default()
            };
            let statements = Arc::new(Statements::new(limits));
            let proxy = Proxy::new(postgres.clone(), Arc::clone(journal), statements);
            Some(proxy.context("The Postgres half cannot run")?)
        }
        None => None,
    };
    Ok(Halves { gateway, proxy })
}
