//! Why the gateway could not be made or started. What happens to a request is in [`respond`](crate::respond).

use std::io;

/// All that can fail before the first request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The application's URL cannot be used; the operator has to correct it.
    #[error("Cannot use {url} as the upstream, because {reason}.")]
    Upstream {
        /// The URL as it was given, without user and password.
        url: Box<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A setting has a value that cannot work.
    #[error("The gateway's {setting} cannot work, because {reason}.")]
    Setting {
        /// The field of [`Config`](crate::Config).
        setting: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The system refused the socket or a descriptor.
    #[error("The gateway could not take over its listening socket.")]
    Listen(#[from] io::Error),
}

/// Hides what stands before the host: it could be a password, and errors end up in logs.
pub(crate) fn without_user(url: &str) -> Box<str> {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}…{}", &url[..scheme + 3], &url[at..]).into()
        }
        _ => url.into(),
    }
}
