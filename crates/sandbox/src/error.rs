use std::io;
use std::path::PathBuf;

/// Why something could not be started. Each message is one sentence; a log's last lines may follow
/// it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Postgres is not installed, or not where it is usually found.
    #[error(
        "Postgres's server programs (initdb, postgres) were not found {looked_in}; install them with \
         `apt install postgresql` (Debian, Ubuntu), `dnf install postgresql-server` (Fedora) or \
         `brew install postgresql` (macOS)"
    )]
    NoPostgres {
        /// Where we looked, as part of the sentence.
        looked_in: String,
    },

    /// A client program of Postgres is missing.
    #[error("the Postgres program `{0}` was not found beside the server or on PATH")]
    NoTool(String),

    /// A program to run does not exist.
    #[error("the program `{}` was not found", .0.display())]
    NoProgram(PathBuf),

    /// We are root, which Postgres refuses, and there is nobody else to run it as.
    #[error("Postgres refuses to run as root, and neither a user `postgres` nor `nobody` exists")]
    NoAccount,

    /// A file or process operation failed.
    #[error("could not {action}: {source}")]
    Io {
        /// What was being done.
        action: String,
        /// The system's answer.
        source: io::Error,
    },

    /// `initdb` ended with an error.
    #[error("initdb failed: {0}")]
    Initdb(String),

    /// The server ended before it was ready; its last log lines follow.
    #[error("Postgres did not start; the end of its log:\n{log}")]
    Failed {
        /// The last lines of the server's log.
        log: String,
    },

    /// The server was not ready in time; its last log lines follow.
    #[error("Postgres was not ready within {seconds} s; the end of its log:\n{log}")]
    NotReady {
        /// How long we waited.
        seconds: u64,
        /// The last lines of the server's log.
        log: String,
    },
}

/// Says what was being done when an I/O error came.
pub(crate) trait Doing<T> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error::Io {
            action: action(),
            source: error.into(),
        })
    }
}
