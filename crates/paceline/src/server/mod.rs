//! A running Paceline: [`run`] is the list of steps from a configuration to the end of the process.

mod admin;
pub(crate) mod database;
mod handover;
mod leave;
mod limits;
mod log;
mod reload;
mod signals;
mod sockets;
mod workers;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use paceline_gateway::Gateway;
use paceline_journal::Journal;
use paceline_listen::{Control, control, drain};
use paceline_pgproxy::{Proxy, Stray};
use paceline_sql::{Limits, Statements};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::commands::COULD_NOT_RUN;
use crate::config::{Config, Effective, Problem};
use handover::{ControlSocket, Offer, Taken, take};
use reload::Reloader;
use signals::{End, Turn};
use sockets::{Addresses, Sockets};
use workers::Workers;

pub(crate) use reload::Load;

/// The halves that run; workers share them.
#[derive(Debug, Clone)]
struct Halves {
    gateway: Option<Arc<Gateway>>,
    proxy: Option<Arc<Proxy>>,
}

impl Halves {
    /// The cancel requests that are not for our own clients.
    fn strays(&self) -> Option<mpsc::Receiver<Stray>> {
        self.proxy.as_ref()?.strays()
    }
}

/// How a process starts.
pub(crate) struct Start {
    /// The settings in effect, and what was odd about them.
    pub(crate) settings: Vec<Effective>,
    pub(crate) warnings: Vec<Problem>,
    /// Reads them again.
    pub(crate) load: Load,
    /// Whether to succeed the process that is there, if there is one.
    pub(crate) takes_over: bool,
}

/// Runs until a signal, or until a part fails.
pub(crate) fn run(mut config: Config, start: Start) -> anyhow::Result<ExitCode> {
    let (level, _lines) = log::start(config.log);
    warn_of(&start.warnings);
    limits::raise_descriptors();
    // 1. Every socket first: a port in use is told before anything happens.
    let mut taken = predecessor(&config, start.takes_over)?;
    let sockets = Sockets::open(&mut config, taken.as_mut())?;
    let offered = match config.control_socket {
        Some(_) => sockets.duplicates()?,
        None => Vec::new(),
    };
    // 2. The parts.
    let (control, wishes) = control();
    let journal = Journal::new(config.journal.clone());
    let halves = halves(&config, &journal, &control)?;
    let strays = taken.is_some().then(|| halves.strays()).flatten();
    // 3. The database, once: a wrong password is told here, not to the first client.
    if let Some(proxy) = &halves.proxy {
        database::check(proxy, config.database_required_at_start)?;
    }
    let (leave, leaving) = drain();
    let (stop_accepting, accepting_ends) = drain();
    let (end_admin, admin_ends) = drain();
    // 4. From here on it serves.
    let mut signals = signals::Signals::new(wishes)?;
    let mut reloader = Reloader {
        load: start.load,
        settings: start.settings,
        proxy: halves.proxy.clone(),
        level,
        control: control.clone(),
    };
    reloader.publish();
    let ends = admin::Ends {
        leaving,
        end: admin_ends,
    };
    let admin = admin::start(&config, sockets.admin, &journal, &halves, control, ends)?;
    let mut workers = Workers::start(sockets.workers, &halves, &accepting_ends)?;
    announce(&config, &sockets.addresses);
    // 5. The process before this one leaves, and somebody may come after it.
    if let Some(taken) = taken {
        taken.ready(strays)?;
    }
    let offer = Offer::new(offered, halves.proxy.clone(), signals.succeeded.clone());
    let control_socket = match &config.control_socket {
        Some(path) => Some(ControlSocket::open(path, offer.clone())?),
        None => None,
    };
    // 6. Until somebody says so, or something breaks.
    let end = loop {
        match signals.wait(&mut workers) {
            Turn::Reload(answer) => {
                let outcome = reloader.reload(&mut config);
                if let Some(answer) = answer {
                    let _ = answer.send(outcome);
                }
            }
            Turn::End(end) => break end,
        }
    };
    offer.withdraw();
    let drains = leave::Drains {
        leave,
        stop_accepting,
        end_admin,
    };
    drains.run(end, &config, &mut signals, workers);
    drop(control_socket);
    let _ = admin.join();
    Ok(match end {
        End::WorkerFailed => ExitCode::from(COULD_NOT_RUN),
        End::Signal | End::Asked(_) | End::Succeeded => ExitCode::SUCCESS,
    })
}

fn warn_of(problems: &[Problem]) {
    for warning in problems {
        warn!(place = %warning.origin, key = warning.key, hint = warning.hint, "{}.", warning.message);
    }
}

/// The process that is to be succeeded. Two that know nothing of each other would take the control socket from each other.
fn predecessor(config: &Config, takes_over: bool) -> anyhow::Result<Option<Taken>> {
    let Some(path) = &config.control_socket else {
        if takes_over {
            bail!(
                "--takeover needs control_socket, over which the two processes speak: set it for both, for instance \
                 control_socket = \"/run/paceline/control.sock\"."
            );
        }
        return Ok(None);
    };
    if takes_over {
        return take(path);
    }
    if ControlSocket::is_alive(path)? {
        bail!(
            "Another Paceline runs with control_socket {}: stop it, or take over from it with --takeover.",
            path.display()
        );
    }
    Ok(None)
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

fn halves(config: &Config, journal: &Arc<Journal>, control: &Control) -> anyhow::Result<Halves> {
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
            let proxy = proxy.context("The Postgres half cannot run")?;
            proxy.set_control(control.clone());
            Some(proxy)
        }
        None => None,
    };
    Ok(Halves { gateway, proxy })
}
