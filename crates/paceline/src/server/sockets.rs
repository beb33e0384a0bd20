//! All listening sockets, opened or taken over before anything else happens.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context as _;
use paceline_listen::bind;
use tracing::warn;

use super::handover::{Kind, Listening, Taken};
use crate::config::Config;

/// The sockets of one worker.
#[derive(Debug, Default)]
pub(super) struct WorkerSockets {
    pub(super) http: Option<TcpListener>,
    pub(super) postgres: Option<TcpListener>,
}

/// The sockets of the process.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) workers: Vec<WorkerSockets>,
    pub(super) admin: TcpListener,
    pub(super) addresses: Addresses,
}

/// Where the process listens: what was really bound, which differs where port 0 was asked for.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) http: Option<SocketAddr>,
    pub(super) postgres: Option<SocketAddr>,
    pub(super) admin: SocketAddr,
}

impl Sockets {
    /// Opens all that the configuration wants and the predecessor has not got, or says in one sentence which port cannot be
    /// had. There are as many workers as the predecessor had if those were more, and the configuration is made to say so: a
    /// listening socket that nobody accepts from would leave its clients waiting.
    pub(super) fn open(config: &mut Config, mut taken: Option<&mut Taken>) -> anyhow::Result<Self> {
        let mut inherited = |kind| {
            let taken = taken.as_deref_mut();
            taken.map_or_else(Vec::new, |taken| taken.sockets(kind))
        };
        let gateway = config.gateway.as_ref().map(|gateway| gateway.listen);
        let proxy = config.postgres.as_ref().map(|proxy| proxy.listen);
        let (http, postgres) = (inherited(Kind::Http), inherited(Kind::Postgres));
        let admin = inherited(Kind::Admin);
        let (http, postgres) = (fitting(http, gateway), fitting(postgres, proxy));
        let admin = fitting(admin, Some(config.admin.listen));
        let most = http.len().max(postgres.len());
        if most > config.workers {
            warn!(
                workers = config.workers,
                sockets = most,
                "There are as many workers as sockets were taken over; the next plain start has fewer."
            );
            config.workers = most;
            if let Some(proxy) = &mut config.postgres {
                proxy.workers = most;
            }
        }
        let mut workers = Vec::new();
        workers.resize_with(config.workers, WorkerSockets::default);
        let http = listeners(gateway, config.workers, http)?;
        let postgres = listeners(proxy, config.workers, postgres)?;
        let admin = listeners(Some(config.admin.listen), 1, admin)?;
        let addresses = Addresses {
            http: address(&http)?,
            postgres: address(&postgres)?,
            admin: address(&admin)?.context("The admin port was bound to no socket")?,
        };
        for (worker, listener) in workers.iter_mut().zip(http) {
            worker.http = Some(listener);
        }
        for (worker, listener) in workers.iter_mut().zip(postgres) {
            worker.postgres = Some(listener);
        }
        let admin = admin
            .into_iter()
            .next()
            .context("The admin port was bound to no socket")?;
        Ok(Self {
            workers,
            admin,
            addresses,
        })
    }

    /// All of them once more, for a successor.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(super) fn duplicates(&self) -> std::io::Result<Vec<Listening>> {
        let of_workers = self.workers.iter().flat_map(|worker| {
            let http = worker.http.as_ref().map(|listener| (Kind::Http, listener));
            let postgres = worker.postgres.as_ref();
            http.into_iter()
                .chain(postgres.map(|listener| (Kind::Postgres, listener)))
        });
        of_workers
            .chain([(Kind::Admin, &self.admin)])
            .map(|(kind, listener)| {
                let listener = listener.try_clone()?;
                Ok(Listening { kind, listener })
            })
            .collect()
    }
}

/// Those of the inherited sockets that listen where the configuration wants to. The others are closed here, and by the
/// predecessor when it leaves.
fn fitting(sockets: Vec<TcpListener>, wanted: Option<SocketAddr>) -> Vec<TcpListener> {
    let fits = |listener: &TcpListener| {
        let (Ok(found), Some(wanted)) = (listener.local_addr(), wanted) else {
            return false;
        };
        found == wanted || (wanted.port() == 0 && found.ip() == wanted.ip())
    };
    sockets.into_iter().filter(fits).collect()
}

/// As many sockets as there are workers; several workers share one that was inherited if there are too few.
fn listeners(
    wanted: Option<SocketAddr>,
    workers: usize,
    mut inherited: Vec<TcpListener>,
) -> anyhow::Result<Vec<TcpListener>> {
    let Some(wanted) = wanted else {
        return Ok(Vec::new());
    };
    if inherited.is_empty() {
        return Ok(bind(wanted, workers)?);
    }
    let count = inherited.len();
    for worker in count..workers {
        let again = inherited[worker % count].try_clone()?;
        inherited.push(again);
    }
    Ok(inherited)
}

fn address(listeners: &[TcpListener]) -> anyhow::Result<Option<SocketAddr>> {
    let first = listeners.first().map(TcpListener::local_addr);
    Ok(first.transpose()?)
}
