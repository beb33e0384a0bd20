//! How a process comes to its end.

use std::time::Duration;

use paceline_listen::{Drain, Leave};
use tracing::{info, warn};

use super::signals::{Drained, End, Signals};
use super::workers::Workers;
use crate::config::Config;

/// What is told to the parts on the way.
pub(super) struct Drains {
    /// Not ready any more.
    pub(super) leave: Drain,
    /// No new connections; and then, no idle ones.
    pub(super) stop_accepting: Drain,
    pub(super) end_admin: Drain,
}

impl Drains {
    /// Not ready first, so that balancers look elsewhere; then no new connections; then nothing.
    pub(super) fn run(
        self,
        end: End,
        config: &Config,
        signals: &mut Signals,
        mut workers: Workers,
    ) {
        self.leave.start();
        let drained = match end {
            End::Signal | End::WorkerFailed | End::Asked(Leave::AfterTransactions) => {
                let hurried = signals.pause(config.drain_delay);
                let limit = if hurried {
                    Duration::ZERO
                } else {
                    config.drain_timeout
                };
                self.send_away(limit, signals, &mut workers)
            }
            End::Asked(Leave::Now) => self.send_away(Duration::ZERO, signals, &mut workers),
            End::Asked(Leave::AfterClients) => {
                self.stop_accepting.hand_over();
                self.outlast(None, config, signals, &mut workers)
            }
            End::Succeeded => {
                // The successor answers there.
                self.end_admin.start();
                self.stop_accepting.hand_over();
                self.outlast(Some(config.handover_timeout), config, signals, &mut workers)
            }
        };
        self.end_admin.start();
        match drained {
            Drained::Completely => info!("All connections came to their end."),
            Drained::TimeOver => {
                warn!("Some connections were cut, because the time for them was over.");
            }
            Drained::Hurried => warn!("Connections were cut, because it was to leave at once."),
        }
    }

    /// Waits for clients to leave by themselves. Who is still there then is sent away.
    fn outlast(
        &self,
        limit: Option<Duration>,
        config: &Config,
        signals: &mut Signals,
        workers: &mut Workers,
    ) -> Drained {
        match signals.drain(workers, limit) {
            Drained::Completely => Drained::Completely,
            Drained::TimeOver | Drained::Hurried => {
                info!("Idle clients are sent away now; transactions come to their end.");
                self.send_away(config.drain_timeout, signals, workers)
            }
        }
    }

    fn send_away(&self, limit: Duration, signals: &mut Signals, workers: &mut Workers) -> Drained {
        self.stop_accepting.start();
        signals.drain(workers, Some(limit))
    }
}
