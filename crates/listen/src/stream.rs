//! What every connection of Paceline is set to, whichever side opened it.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How long a connection may be silent before its peer is asked whether it is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// How long it has to answer before it is asked again.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How often it is asked in vain until the connection counts as lost.
const KEEPALIVE_PROBES: u32 = 3;

/// Sets `TCP_NODELAY`, because messages leave whole, and keepalive: a peer whose machine or network vanished without a
/// word (RFC 1122, section 4.2.3.6) is found after 90 seconds, where else it would hold its place for ever.
///
/// Nothing is lost when an option cannot be set: the peer has already gone, which the first read or write will tell.
pub fn tune(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Ends a connection whose peer does not acknowledge what it was sent for this long. Where the system cannot do that, its own
/// patience holds.
pub fn give_up_after(stream: &TcpStream, limit: Duration) {
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(stream).set_tcp_user_timeout(Some(limit));
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, limit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Acceptor, bind};

    #[track_caller]
    fn assert_tuned(stream: &TcpStream) {
        let socket = SockRef::from(stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
    }

    #[tokio::test]
    async fn connections_of_both_directions_ask_whether_their_peer_is_there() {
        let mut listeners = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let mut acceptor = Acceptor::new(listeners.remove(0)).unwrap();
        let address = acceptor.local_addr().unwrap();
        let opened = TcpStream::connect(address).await.unwrap();
        assert!(!SockRef::from(&opened).keepalive().unwrap());
        tune(&opened);
        assert_tuned(&opened);
        assert_tuned(&acceptor.accept().await.0);
    }
}
