//! `make test-drivers`: runs all programs of `tests/drivers` and prints a table. Names as arguments choose some of them;
//! `--direct` leaves Paceline out, to see what is the programs' own fault.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

#[path = "../tests/drivers/run.rs"]
mod run;

use std::process::ExitCode;

use run::Report;

fn main() -> ExitCode {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    let arguments = wanted.len();
    wanted.retain(|name| name != "--direct");
    let is_direct = wanted.len() < arguments;
    let drivers = run::all();
    let chosen = drivers
        .iter()
        .filter(|driver| wanted.is_empty() || wanted.iter().any(|name| name == driver.name));
    let mut reports = Vec::new();
    for driver in chosen {
        eprintln!("{} …", driver.name);
        let report = if is_direct {
            driver.run_directly()
        } else {
            driver.run()
        };
        if !report.failed.is_empty() {
            eprintln!("{}", report.output);
        }
        reports.push(report);
    }
    println!("| driver | version | passed | not in the driver | failed |");
    println!("|---|---|---|---|---|");
    reports.iter().for_each(print_row);
    if !reports.is_empty() && reports.iter().all(|report| report.failed.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_row(report: &Report) {
    let failed: Vec<&str> = report.failed.keys().map(String::as_str).collect();
    let or_dash = |text: String| if text.is_empty() { "–".into() } else { text };
    println!(
        "| {} | {} | {} | {} | {} |",
        report.name,
        report.version,
        report.passed.len(),
        or_dash(report.skipped.join(", ")),
        or_dash(failed.join(", "))
    );
}
