//! What a command writes: data on stdout, everything else on stderr, colours only where a person looks.

use std::io::{self, IsTerminal as _, Write as _};

/// Writes `text` to stdout. A reader that went away is an error like any other, never a panic.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// How wide the text on stdout may be: as the shell says in `COLUMNS`, else 100.
pub(crate) fn columns() -> usize {
    let said = std::env::var("COLUMNS").ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(100)
}

/// About three significant digits.
pub(crate) fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Writes one line to stderr, with the program's name before it. When even that fails there is nobody to tell.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "paceline: {line}");
}

/// True when the error is that nobody reads our output any more (`paceline check | head -1`).
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Green, where stdout is looked at by a person.
pub(crate) fn good(text: &str) -> String {
    painted(text, "32")
}

/// Red, where stdout is looked at by a person.
pub(crate) fn bad(text: &str) -> String {
    painted(text, "31")
}

/// Bold, where stdout is looked at by a person.
pub(crate) fn strong(text: &str) -> String {
    painted(text, "1")
}

fn painted(text: &str, code: &str) -> String {
    if stdout_has_colours() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Whether stdout may bear colours: a terminal, and `NO_COLOR` unset or empty.
pub(crate) fn stdout_has_colours() -> bool {
    io::stdout().is_terminal() && colours_allowed()
}

/// Whether stderr may bear colours.
pub(crate) fn stderr_has_colours() -> bool {
    io::stderr().is_terminal() && colours_allowed()
}

fn colours_allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
