//! `paceline check`: every problem of a configuration at once, and the settings in effect.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::COULD_NOT_RUN;
use super::settings::Settings;
use crate::config::{self, Effective, Loaded, Origin, Problem, Severity, reference};
use crate::terminal;

const AFTER_HELP: &str = "\
Examples:
  paceline check paceline.toml            report every mistake, with its place
  paceline check paceline.toml --show     print every setting and its origin
  paceline check --upstream http://127.0.0.1:3000 --show
  paceline check --reference              every key, its kind and default

Settings are taken, the strongest first, from the command line, from the
environment (PACELINE__SECTION__KEY, such as PACELINE__GATEWAY__LISTEN), from
the file, and from the defaults. Secrets are never printed. Files that are named
(secrets, certificates, users) are read as well. One that is not on this machine
is a warning here, and an error for `paceline run`.

Exit codes: 0 the configuration is right (warnings aside), 2 it is not.";

/// Check a configuration without starting anything.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(env = "PACELINE_CONFIG")]
    file: Option<PathBuf>,
    /// Print every setting in effect, and where it comes from
    #[arg(long)]
    show: bool,
    /// Print the outcome as one JSON object: ok, problems[], settings[]
    #[arg(long)]
    json: bool,
    /// Print the reference of all keys as Markdown, and nothing else
    #[arg(long, conflicts_with_all = ["show", "json"])]
    reference: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.reference {
        terminal::say(&reference::page())?;
        return Ok(ExitCode::SUCCESS);
    }
    let loaded = config::load(config::Sources {
        may_lack_secrets: true,
        ..args.settings.sources(args.file)
    });
    let ok = loaded.config.is_some();
    let text = if args.json {
        json(&loaded)?
    } else {
        people(&loaded, args.show)
    };
    terminal::say(&text)?;
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(COULD_NOT_RUN)
    })
}

fn json(loaded: &Loaded) -> anyhow::Result<String> {
    #[derive(Serialize)]
    struct Outcome<'a> {
        ok: bool,
        problems: &'a [Problem],
        settings: &'a [Effective],
    }
    let ok = loaded.config.is_some();
    let outcome = Outcome {
        ok,
        problems: &loaded.problems,
        settings: &loaded.settings,
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&outcome)?))
}

fn people(loaded: &Loaded, show: bool) -> String {
    let mut lines: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    let errors = loaded
        .problems
        .iter()
        .filter(|p| p.severity == Severity::Error)
        .count();
    lines.push(match errors {
        0 => terminal::good("ok"),
        1 => terminal::bad("1 error"),
        more => terminal::bad(&format!("{more} errors")),
    });
    if show {
        lines.push(String::new());
        lines.extend(settings(&loaded.settings));
    }
    lines.join("\n") + "\n"
}

/// The settings as a file that has the same effect, each with its origin.
fn settings(effective: &[Effective]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut section = "";
    for Effective { key, value, origin } in effective {
        let (of, name) = key.rsplit_once('.').unwrap_or(("", key.as_str()));
        if of != section {
            section = of;
            lines.push(String::new());
            lines.push(terminal::strong(&header(section)));
        }
        let origin = match origin {
            Origin::Default => "default".to_owned(),
            other => other.to_string(),
        };
        lines.push(match value {
            Some(value) => format!("{:<52} # {origin}", format!("{name} = {value}")),
            None => format!("{:<52} # not set", format!("# {name}")),
        });
    }
    lines
}

/// `[postgres]`, or `[[postgres.users]]` for each of its rows.
fn header(section: &str) -> String {
    match section.rsplit_once('[') {
        Some((array, _)) => format!("[[{array}]]"),
        None => format!("[{section}]"),
    }
}
