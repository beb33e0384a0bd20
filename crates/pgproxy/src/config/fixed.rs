//! What a configuration says of a proxy for good: the workers, and what every client's statements are kept by, begin with it.

use std::net::SocketAddr;

use super::{Config, Mode};

macro_rules! fixed {
    ($($key:ident: $kind:ty,)*) => {
        /// See the module. A proxy reads these here, and all that a reload can change from the configuration in force.
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct Fixed {
            $(pub(crate) $key: $kind,)*
        }

        impl Fixed {
            pub(crate) fn of(config: &Config) -> Self {
                Self {
                    $($key: config.$key,)*
                }
            }

            /// What another configuration says of these waits for the next start.
            pub(crate) fn keep(&self, config: &mut Config) {
                $(config.$key = self.$key;)*
            }
        }

        impl Config {
            /// The settings that [`Proxy::reload`](crate::Proxy::reload) leaves as they are.
            pub const FIXED: &[&str] = &[$(stringify!($key)),*];
        }
    };
}

fixed! {
    listen: SocketAddr,
    mode: Mode,
    workers: usize,
    prepared_statements_max: usize,
    client_statements_max: usize,
    statement_bytes_max: usize,
    statement_memory_max: usize,
    forward_trace_comment: bool,
}
