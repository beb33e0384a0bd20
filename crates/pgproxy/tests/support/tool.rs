//! Programs that are run against the proxy: psql and pgbench.

use std::process::Command;
use std::time::Duration;

use paceline_testkit::{PrivatePostgres, run_to_end};

use super::Rig;

/// How long any of them may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a program ended, and all that it printed.
pub(crate) struct Ended {
    pub(crate) is_success: bool,
    pub(crate) output: String,
}

impl Ended {
    /// The output, if it ended well.
    #[track_caller]
    pub(crate) fn unwrap(self) -> String {
        assert!(self.is_success, "{}", self.output);
        self.output
    }
}

/// Runs a program to its end; it is ended when it takes too long.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ended {
    let ended = run_to_end(command, PATIENCE);
    Ended {
        is_success: ended.code == Some(0),
        output: ended.stdout + &ended.stderr,
    }
}

/// A program of Postgres, with a connection to the proxy in its environment.
pub(crate) fn postgres_tool(rig: &Rig, name: &str) -> Command {
    postgres_tool_at(rig.port, &rig.server, name)
}

/// A program of this server's, with a connection to this port in its environment.
pub(crate) fn postgres_tool_at(port: u16, server: &PrivatePostgres, name: &str) -> Command {
    let mut command = Command::new(server.binaries().tool(name).unwrap());
    command
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", port.to_string())
        .env("PGUSER", server.user())
        .env("PGPASSWORD", server.password().unwrap_or_default())
        .env("PGDATABASE", "postgres")
        .env("PGCONNECT_TIMEOUT", "20");
    command
}

/// pgbench with these arguments.
pub(crate) fn pgbench(rig: &Rig, arguments: &str) -> Ended {
    run(postgres_tool(rig, "pgbench").args(arguments.split_whitespace()))
}

/// psql with these commands.
pub(crate) fn psql(rig: &Rig, commands: &[&str]) -> Ended {
    let mut command = postgres_tool(rig, "psql");
    command.args(["-X", "-A", "-q", "-v", "ON_ERROR_STOP=1"]);
    for text in commands {
        command.args(["-c", text]);
    }
    run(&mut command)
}
