//! `paceline explain`: the waterfall of one request.

use std::process::ExitCode;

use anyhow::bail;

use crate::explain::{Recent, Request, View, render};
use crate::instance::{Instance, URL_DEFAULT};
use crate::terminal;

const AFTER_HELP: &str = "\
Examples:
  paceline explain 60296f943bef7e821773a2e6cbd70b11
  paceline explain --slowest                      of the recent requests
  paceline explain --slowest --route 'GET /jobs'
  paceline explain --latest --all                 each statement with its text

A request's id is in the header paceline-request-id of its answer (fix mode), in
the findings, and in /api/v1/requests. A bar shows when a statement ran, dots
when it waited for a server connection; what ran four times or more has one row.
Exit codes: 0 fine, 2 there is no such request, or the instance could not be
asked.";

/// Show where the time of one request went: queueing, each statement, the rest.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Which request
    #[arg(value_name = "REQUEST-ID", required_unless_present_any = ["slowest", "latest"])]
    id: Option<String>,
    /// The slowest of the recent requests
    #[arg(long, conflicts_with_all = ["id", "latest"])]
    slowest: bool,
    /// The one that ended last
    #[arg(long, conflicts_with = "id")]
    latest: bool,
    /// Of this route only: method and template
    #[arg(long, value_name = "ROUTE", conflicts_with = "id")]
    route: Option<String>,
    /// The admin port of the instance
    #[arg(long, value_name = "URL", env = "PACELINE_ADMIN_URL", default_value = URL_DEFAULT)]
    url: String,
    /// Give each statement a row of its own, with its text
    #[arg(long)]
    all: bool,
    /// Print what /api/v1/requests/{id} answers
    #[arg(long)]
    json: bool,
}

/// As many as the instance gives at once.
const RECENT_MAX: usize = 10_000;

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut instance = Instance::at(&args.url)?;
    let id = match &args.id {
        Some(id) => percent_encoded(id),
        None => choose(&mut instance, &args)?,
    };
    let path = format!("/api/v1/requests/{id}");
    if args.json {
        let request: serde_json::Value = instance.get(&path)?;
        terminal::say(&format!("{}\n", serde_json::to_string_pretty(&request)?))?;
    } else {
        let request: Request = instance.get(&path)?;
        let width = terminal::columns();
        let all = args.all;
        terminal::say(&render(&request, View { width, all }))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn choose(instance: &mut Instance, args: &Args) -> anyhow::Result<String> {
    let limit = if args.slowest { RECENT_MAX } else { 1 };
    let mut path = format!("/api/v1/requests?limit={limit}");
    if let Some(route) = &args.route {
        path.push_str("&route=");
        path.push_str(&percent_encoded(route));
    }
    let Recent { requests } = instance.get(&path)?;
    let length = |request: &crate::explain::Candidate| request.duration_ms.unwrap_or(0.0);
    let chosen = requests
        .into_iter()
        .max_by(|one, two| length(one).total_cmp(&length(two)));
    let Some(chosen) = chosen else {
        match &args.route {
            Some(route) => bail!(
                "There is no recent request of {route}. A route is a method and a template, such as 'GET /jobs/{{id}}'; /api/v1/routes lists them."
            ),
            None => bail!("There is no recent request: send some through the gateway first."),
        }
    };
    Ok(chosen.id)
}

/// For a path or a query (RFC 3986): all but letters, figures and `-._~`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
