//! What workers send each other: whole clients.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::Seat;
use crate::client::Client;
use crate::stream::DetachedStream;

/// A client on its way to a worker. Its seat there is taken already, so that the mailbox is bounded by the number of
/// clients.
pub(crate) enum Parcel {
    /// Accepted, nothing read yet.
    Accepted {
        stream: std::net::TcpStream,
        peer: SocketAddr,
        seat: Seat,
    },
    /// Logged in, between two transactions.
    Client(Box<Client<DetachedStream>>),
}

/// A worker's mailbox.
#[derive(Default)]
pub(crate) struct Mailbox {
    parcels: Mutex<VecDeque<Parcel>>,
    arrived: Notify,
}

impl Mailbox {
    pub(crate) fn send(&self, parcel: Parcel) {
        self.parcels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(parcel);
        self.arrived.notify_one();
    }

    /// The next parcel. Only the worker that owns the mailbox may wait here.
    pub(crate) async fn receive(&self) -> Parcel {
        loop {
            let parcel = self
                .parcels
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            match parcel {
                Some(parcel) => return parcel,
                None => self.arrived.notified().await,
            }
        }
    }
}
