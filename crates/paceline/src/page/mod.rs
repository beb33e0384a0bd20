//! The HTML report: what the commands measured and found, brought into the form of `paceline-report`.

mod diagnosis;
mod findings;
mod load;
mod versus;

use std::fs::OpenOptions;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;
use paceline_report::{Fact, Report};

pub(crate) use diagnosis::of_diagnosis;
pub(crate) use findings::finding;
pub(crate) use load::{grade, of_load, route, value};
pub(crate) use paceline_report::html;
pub(crate) use versus::of_comparison;

/// Fails early when the file cannot be written: nobody wants to learn that after a minute of load.
pub(crate) fn check_writable(file: &Path) -> anyhow::Result<()> {
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened
        .map(drop)
        .with_context(|| format!("the report cannot be written to {}", file.display()))
}

/// Writes a report.
pub(crate) fn save(report: &Report, file: &Path) -> anyhow::Result<()> {
    std::fs::write(file, html(report))
        .with_context(|| format!("the report cannot be written to {}", file.display()))
}

/// When it is made and by whom.
pub(crate) fn signed(report: Report) -> Report {
    let now = paceline_admin::rfc3339(SystemTime::now());
    // To the minute: `2026-01-31T12:34`.
    let minute = now.get(..16).unwrap_or(&now).replace('T', " ");
    Report {
        made_at: format!("{minute} UTC"),
        made_by: format!("paceline {}", env!("CARGO_PKG_VERSION")),
        ..report
    }
}

/// How the command was called, and on what machine the load was made.
pub(crate) fn circumstances() -> Vec<Fact> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let machine = format!(
        "{cpus} CPUs, {} {} {}; the load generator ran on it",
        std::env::consts::OS,
        kernel.trim(),
        std::env::consts::ARCH
    );
    let mut facts = call();
    facts.push(Fact::new("Machine", machine));
    facts
}

/// How the command was called.
fn call() -> Vec<Fact> {
    let command = std::env::args().map(|argument| quoted(&without_secrets(&argument)));
    let mut command: Vec<_> = command.collect();
    // Where the binary lies is nobody's business.
    if let Some(first) = command.first_mut() {
        *first = "paceline".to_owned();
    }
    vec![
        Fact::code("Command", command.join(" ")),
        Fact::new("Version", concat!("paceline ", env!("CARGO_PKG_VERSION"))),
    ]
}

/// As a shell would have to be given it.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

/// A report is sent around: what stands before the `@` of a URL stays here, and so does a password behind its `?`.
fn without_secrets(argument: &str) -> String {
    let Some((scheme, rest)) = argument.split_once("://") else {
        return argument.to_owned();
    };
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (user, rest) = match rest[..host_end].rfind('@') {
        Some(at) => ("…", &rest[at..]),
        None => ("", rest),
    };
    let Some((place, query)) = rest.split_once('?') else {
        return format!("{scheme}://{user}{rest}");
    };
    let shown = |pair| match str::split_once(pair, '=') {
        Some((name, _)) if name.contains("password") => format!("{name}=…"),
        _ => pair.to_owned(),
    };
    let query: Vec<_> = query.split('&').map(shown).collect();
    format!("{scheme}://{user}{place}?{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_can_be_pasted_and_bear_no_secrets() {
        let rows = [
            ("--rate", "--rate"),
            ("p95<200ms", "'p95<200ms'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            (
                "http://a.example/x?y={1..9}",
                "'http://a.example/x?y={1..9}'",
            ),
            ("http://me:secret@a.example/@x", "'http://…@a.example/@x'"),
            (
                "postgres://db/app?user=me&password=secret&sslmode=require",
                "'postgres://db/app?user=me&password=…&sslmode=require'",
            ),
            (
                "--url=http://me:p@ss@a.example",
                "'--url=http://…@a.example'",
            ),
        ];
        for (argument, expected) in rows {
            assert_eq!(quoted(&without_secrets(argument)), expected);
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_before_anything_else() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_writable(&folder.path().join("no/report.html")).unwrap_err();
        assert!(
            error.to_string().contains("cannot be written to"),
            "{error}"
        );
        let file = folder.path().join("report.html");
        std::fs::write(&file, "the last one").unwrap();
        check_writable(&file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "the last one");
        save(&signed(Report::default()), &file).unwrap();
        let page = std::fs::read_to_string(&file).unwrap();
        assert!(
            page.starts_with("<!doctype html>") && page.contains(" UTC"),
            "{page}"
        );
    }
}
