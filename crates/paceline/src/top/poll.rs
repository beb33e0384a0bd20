//! Asks the instance, again and again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::snapshot::{Pools, Routes, Shapes, Snapshot};
use crate::instance::Instance;

/// Everything that is shown.
pub(crate) fn read(instance: &mut Instance) -> anyhow::Result<Snapshot> {
    let status = instance.get("/api/v1/status")?;
    let Routes { routes } = instance.get("/api/v1/routes")?;
    let Shapes { shapes } = instance.get("/api/v1/shapes")?;
    let Pools { pools } = instance.get("/api/v1/pools")?;
    Ok(Snapshot {
        status,
        routes,
        shapes,
        pools,
    })
}

/// Reads every `interval` until the other side of either channel is gone.
pub(super) fn run(
    url: &str,
    interval: Duration,
    results: &Sender<anyhow::Result<Snapshot>>,
    stop: &Receiver<()>,
) {
    let mut instance = None;
    loop {
        let result = match instance.take() {
            Some(instance) => Ok(instance),
            None => Instance::at(url),
        }
        .and_then(|mut asked| {
            let snapshot = read(&mut asked)?;
            // After a failure it is asked on a new connection.
            instance = Some(asked);
            Ok(snapshot)
        });
        if results.send(result).is_err() {
            return;
        }
        match stop.recv_timeout(interval) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return,
        }
    }
}
