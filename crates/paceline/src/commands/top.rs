//! `paceline top`: what a running instance does now.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::units::parse_duration;
use crate::instance::{Instance, URL_DEFAULT};
use crate::terminal;
use crate::top::{Model, Sort, View, live, plain, read};

const AFTER_HELP: &str = "\
Examples:
  paceline top
  paceline top --view shapes --sort p99
  paceline top --once | head -20              print once, for a log or a script

time: share of all time spent in the interval. busy: seconds spent per second,
that is, how many were under way at a time. per s, err/s: of the interval.
Percentiles are since the instance's start. Keys: q quit, tab view, s sort,
p pause, arrows select; the selected statement is shown in full.
Exit codes: 0 fine, 2 the instance could not be asked.";

/// Show routes, statements and pools of a running instance live, most time first.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The admin port of the instance
    #[arg(long, value_name = "URL", env = "PACELINE_ADMIN_URL", default_value = URL_DEFAULT)]
    url: String,
    /// How often to ask, at least 100ms
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    interval: Duration,
    /// What to begin with
    #[arg(long, value_enum, default_value = "routes")]
    view: View,
    /// What comes first
    #[arg(long, value_enum, default_value = "time")]
    sort: Sort,
    /// Print all three lists once, since the start, and end; so does output that is no terminal
    #[arg(long)]
    once: bool,
}

const INTERVAL_MIN: Duration = Duration::from_millis(100);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if interval < INTERVAL_MIN {
        return Err("at least 100ms".to_owned());
    }
    Ok(interval)
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Whatever is wrong with the instance is told on an ordinary screen.
    let first = read(&mut Instance::at(&args.url)?)?;
    let mut model = Model::new(args.view, args.sort);
    model.update(Ok(first));
    if args.once || !std::io::stdout().is_terminal() {
        terminal::say(&plain(&mut model, terminal::columns()))?;
    } else {
        live(&mut model, &args.url, args.interval)?;
    }
    Ok(ExitCode::SUCCESS)
}
