//! TLS (rustls), on both sides.

mod stream;

pub(crate) use stream::TlsStream;
