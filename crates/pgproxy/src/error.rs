//! What can go wrong, and how each of it is said on the wire: SQLSTATE, what happened, why, what to do.

use std::net::SocketAddr;

/// Why a proxy cannot be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Without a password anybody who reaches the port would be the database's user.
    #[error(
        "the database URL has no password, and {listen} is not a loopback address: everybody who reaches that port would \
         be let in. Put the password into the URL, or listen on 127.0.0.1"
    )]
    OpenToAll {
        /// The address to listen on.
        listen: SocketAddr,
    },
    /// A number that makes no sense.
    #[error("{setting} must be at least 1")]
    Zero {
        /// Which setting.
        setting: &'static str,
    },
    /// The system gives no random numbers.
    #[error("could not read random numbers from /dev/urandom")]
    Random(#[source] std::io::Error),
}
