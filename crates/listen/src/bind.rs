//! Opening several sockets on one port without sharing it with a stranger.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel may hold for us before they are accepted. It caps this at `net.core.somaxconn`, whose
/// default is the same.
const BACKLOG: i32 = 4096;

/// Why an address could not be listened on. Each message is one sentence that names the address and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program, or another Paceline, listens there.
    #[error(
        "Cannot listen on {address}, because another program already does: stop it \
         (`ss -ltnp 'sport = :{}'` names it) or choose another port.", address.port()
    )]
    InUse {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The process may not use that port, usually because it is below 1024.
    #[error(
        "Cannot listen on {address}, because this user may not: choose a port from 1024 up, or grant the \
         capability CAP_NET_BIND_SERVICE."
    )]
    Denied {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// This machine has no such address.
    #[error(
        "Cannot listen on {address}, because this machine has no such address: choose one that `ip address` \
         lists, or {} for all of them.",
        any(address)
    )]
    NoSuchAddress {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// Anything else that the system had to say.
    #[error("Cannot listen on {address}: {source}.")]
    Other {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's own error.
        source: io::Error,
    },
}

impl BindError {
    /// The address that was asked for.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::InUse { address }
            | Self::Denied { address }
            | Self::NoSuchAddress { address }
            | Self::Other { address, .. } => *address,
        }
    }

    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::PermissionDenied => Self::Denied { address },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { address },
            _ => Self::Other { address, source },
        }
    }
}

/// Opens `sockets` (at least one) non-blocking listening sockets on `address`, among which the kernel spreads the
/// connections. With port 0 the system chooses a port, the same for all of them.
///
/// A port that anybody else holds is refused, also when the holder would share it (`SO_REUSEPORT`): two Pacelines
/// on one port would each get half of the clients, in silence.
///
/// # Errors
///
/// A [`BindError`], whose text can be shown to the user as it is.
pub fn bind(address: SocketAddr, sockets: usize) -> Result<Vec<TcpListener>, BindError> {
    let all = || {
        if sockets <= 1 {
            return Ok(vec![open(address, Port::Exclusive)?]);
        }
        if address.port() != 0 {
            // Only a look: dropped at once, and nothing could have connected that the backlog then loses, because
            // it is bound but does not listen.
            bound(address, Port::Exclusive)?;
        }
        let first = open(address, Port::Shared)?;
        let chosen = first.local_addr()?;
        let mut listeners = Vec::with_capacity(sockets);
        listeners.push(first);
        for _ in 1..sockets {
            listeners.push(open(chosen, Port::Shared)?);
        }
        Ok(listeners)
    };
    all().map_err(|source| BindError::new(address, source))
}

/// Whether other sockets may be bound to the same port.
#[derive(Clone, Copy, PartialEq)]
enum Port {
    Exclusive,
    Shared,
}

fn open(address: SocketAddr, port: Port) -> io::Result<TcpListener> {
    let socket = bound(address, port)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bound(address: SocketAddr, port: Port) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the old connections' TIME_WAIT to pass.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(port == Port::Shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn any(address: &SocketAddr) -> &'static str {
    if address.is_ipv4() { "0.0.0.0" } else { "[::]" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn several_sockets_share_the_port_that_the_system_chose() {
        let listeners = bind(local(0), 4).unwrap();
        assert_eq!(listeners.len(), 4);
        let port = listeners[0].local_addr().unwrap().port();
        assert_ne!(port, 0);
        assert!(
            listeners
                .iter()
                .all(|l| l.local_addr().unwrap().port() == port)
        );
    }

    #[test]
    fn at_least_one_socket_is_opened() {
        assert_eq!(bind(local(0), 0).unwrap().len(), 1);
    }

    #[test]
    fn a_port_in_use_is_one_sentence_with_address_and_remedy() {
        for (holder, wanted) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let held = bind(local(0), holder).unwrap();
            let address = held[0].local_addr().unwrap();
            let error = bind(address, wanted).unwrap_err();
            assert!(
                matches!(error, BindError::InUse { .. }),
                "{holder} {wanted}: {error:?}"
            );
            assert_eq!(error.address(), address);
            let text = error.to_string();
            assert!(text.contains(&address.to_string()), "{text}");
            assert!(
                text.contains(&format!("ss -ltnp 'sport = :{}'", address.port())),
                "{text}"
            );
            assert!(text.ends_with("choose another port."), "{text}");
        }
    }

    #[test]
    fn a_port_can_be_taken_again_once_it_is_free_also_after_connections() {
        let held = bind(local(0), 2).unwrap();
        let address = held[0].local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let served = loop {
            match held.iter().find_map(|l| l.accept().ok()) {
                Some((stream, _)) => break stream,
                None => std::thread::yield_now(),
            }
        };
        // Closed first on this side: the pair stays in TIME_WAIT on our port.
        drop(served);
        drop(client);
        drop(held);
        assert_eq!(bind(address, 2).unwrap().len(), 2);
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let address = "192.0.2.1:0".parse().unwrap();
        let error = bind(address, 2).unwrap_err();
        assert!(
            matches!(error, BindError::NoSuchAddress { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("192.0.2.1:0"), "{error}");
    }
}
