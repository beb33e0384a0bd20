//! What the Rust programs share: the command line, and how checks are run and reported (see ../python/common.py).

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

/// What a check ends with: an error is a failure.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Tasks that run at once, and how many transactions each makes.
pub const TASKS: i32 = 50;
/// Transactions of each task.
pub const ROUNDS: i32 = 10;
/// A large value.
pub const LARGE_BYTES: usize = 10 * 1024 * 1024;

/// Ends all other sessions at the server.
pub const TERMINATE_OTHERS: &str = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";

/// The command line.
#[derive(Debug, Clone)]
pub struct Arguments {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub server_connections: usize,
}

impl Arguments {
    pub fn read() -> Self {
        let mut arguments = std::env::args().skip(1);
        let mut next = || {
            arguments
                .next()
                .expect("HOST PORT DATABASE SERVER_CONNECTIONS")
        };
        Self {
            host: next(),
            port: next().parse().expect("a port"),
            database: next(),
            server_connections: next().parse().expect("a number"),
        }
    }
}

/// Runs checks and remembers how they went.
#[derive(Debug, Default)]
pub struct Program {
    has_failed: bool,
}

impl Program {
    pub fn new(name: &str, version: &str) -> Self {
        println!("driver {name} {version}");
        Self::default()
    }

    pub async fn check(&mut self, name: &str, check: impl Future<Output = Outcome>) {
        let result = match tokio::time::timeout(Duration::from_secs(60), check).await {
            Ok(result) => result.map_err(|error| format!("{error} ({error:?})")),
            Err(_) => Err("it takes more than 60 s".to_owned()),
        };
        match result {
            Ok(()) => println!("ok {name}"),
            Err(error) => {
                self.has_failed = true;
                println!("FAIL {name} {}", error.replace('\n', " "));
            }
        }
    }

    pub fn skip(&self, name: &str, reason: &str) {
        println!("skip {name} {reason}");
    }

    pub fn end(self) -> ! {
        std::process::exit(i32::from(self.has_failed))
    }
}

/// An error unless both are the same.
pub fn same<T: PartialEq<U> + Debug, U: Debug>(found: T, wanted: U) -> Outcome {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{found:?} is not {wanted:?}").into())
    }
}

/// The version of a library in the lock file.
pub fn version_of(library: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let name = format!("name = \"{library}\"\nversion = \"");
    let (_, rest) = lock.split_once(&name).expect("a library of the lock file");
    rest.split('"').next().expect("a version").to_owned()
}
