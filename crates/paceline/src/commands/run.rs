//! `paceline run`: both halves, or either, and the admin port.

use std::path::PathBuf;
use std::process::ExitCode;

use super::COULD_NOT_RUN;
use super::settings::Settings;
use crate::{config, server, terminal};

const AFTER_HELP: &str = "\
Examples:
  paceline run --upstream http://127.0.0.1:3000 \\
      --database postgres://app:secret@127.0.0.1:5432/app
  paceline run --mode observe --upstream http://127.0.0.1:3000 \\
      --database postgres://app@127.0.0.1:5432/app
  paceline run --upstream http://127.0.0.1:3000      the HTTP half alone
  paceline run --config paceline.toml

The Postgres half alone, no secret on show:
  PACELINE__POSTGRES__URL=postgres://app:secret@db/app paceline run

Then point HTTP clients at port 8080 and the application's DATABASE_URL at port
6432, and see http://127.0.0.1:9090/ and `paceline diagnose`.

Settings are taken, the strongest first, from the command line, from the
environment (PACELINE__SECTION__KEY, such as PACELINE__GATEWAY__LISTEN), from
the file (--config or PACELINE_CONFIG), and from the defaults. Every mistake is
reported at once and nothing is started then. `paceline check --reference` lists
all keys.

SIGTERM and SIGINT: /readyz fails at once, then no connection is accepted any
more, open requests and transactions get drain_timeout (default 30s) to end. A
second signal ends at once. SIGHUP: the configuration is read again; if it is
wrong, everything stays as it is.

To upgrade without refusing a connection, set control_socket and start the new
version beside the old one: paceline run --config paceline.toml --takeover

Exit codes: 0 ended by a signal, 2 could not start, or a part failed.";

/// Run the HTTP half, the Postgres half, or both.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "PACELINE_CONFIG")]
    config: Option<PathBuf>,
    /// Take the listening sockets over from the Paceline that runs with the same control_socket, without refusing a
    /// connection; it leaves when its clients have. If there is none, this is an ordinary start
    #[arg(long)]
    takeover: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let sources = args.settings.sources(args.config);
    let load = move || config::load(sources.clone());
    let loaded = load();
    match loaded.config {
        Some(config) => server::run(
            config,
            server::Start {
                settings: loaded.settings,
                // What is left are warnings, which belong into the log.
                warnings: loaded.problems,
                load: Box::new(load),
                takes_over: args.takeover,
            },
        ),
        None => {
            for problem in &loaded.problems {
                terminal::complain(&problem.to_string());
            }
            Ok(ExitCode::from(COULD_NOT_RUN))
        }
    }
}
