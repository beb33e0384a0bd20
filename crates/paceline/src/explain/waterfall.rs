//! The picture: one row for each statement, its bar where it ran.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::request::{Request, Statement};
use super::split::Split;
use crate::terminal::figure;

/// Columns for names.
const NAME_COLUMNS: usize = 30;
/// Columns for figures behind the bar.
const FIGURES_COLUMNS: usize = 30;
/// Narrower bars say nothing.
const BAR_COLUMNS_MIN: usize = 20;
/// So many executions of one text become one row.
const GROUPED_MIN: usize = 4;
/// So many equal statements with other values are worth a word.
const REPEATED_MIN: usize = 5;

/// How it is to be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// Columns.
    pub(crate) width: usize,
    /// Each statement has a row of its own, and its text below.
    pub(crate) all: bool,
}

/// Executions that differ in values only; never empty.
struct Group<'r>(Vec<&'r Statement>);

/// The request in words and bars, with a line break at the end of each line.
pub(crate) fn render(request: &Request, view: View) -> String {
    let mut text = String::new();
    heading(request, &mut text);
    let length = request.length_ms();
    let bars = view
        .width
        .saturating_sub(NAME_COLUMNS + FIGURES_COLUMNS + 2);
    let bars = Bars {
        columns: bars.max(BAR_COLUMNS_MIN),
        length,
    };
    let end = format!("{} ms", figure(length));
    let gap = bars.columns.saturating_sub(4 + end.chars().count());
    let _ = writeln!(text, "\n{:NAME_COLUMNS$} 0 ms{:gap$}{end}", "", "");
    let all = [(0.0, length)];
    row("request", &bars.draw(all, []), &end, &mut text);
    for group in groups(&request.statement_list, view.all) {
        group.render(&bars, &mut text);
        if view.all {
            let _ = writeln!(text, "{:4}{}", "", group.first().text);
        }
    }
    if request.statements_unlisted > 0 {
        let unlisted = request.statements_unlisted;
        let _ = writeln!(
            text,
            "… and {unlisted} statements that the journal did not keep"
        );
    }
    text.push('\n');
    summary(request, &mut text);
    text
}

fn heading(request: &Request, text: &mut String) {
    let _ = write!(text, "{}", request.route);
    match (&request.error, request.status) {
        (Some(error), Some(status)) => {
            let _ = write!(text, "  {status}, {error}");
        }
        (Some(error), None) => {
            let _ = write!(text, "  {error}");
        }
        (None, Some(status)) => {
            let _ = write!(text, "  {status}");
        }
        (None, None) => {}
    }
    match request.duration_ms {
        Some(duration) => {
            let _ = write!(text, "  {} ms", figure(duration));
        }
        None => text.push_str("  aborted"),
    }
    let (bytes, at) = (request.response_bytes, &request.started_at);
    let _ = writeln!(text, "  {bytes} bytes  at {at}");
    let _ = write!(text, "request {}", request.id);
    if let Some(caller) = &request.caller_trace_id {
        let _ = write!(text, "  in the caller's trace {caller}");
    }
    text.push('\n');
}

fn summary(request: &Request, text: &mut String) {
    let (split, length) = (Split::of(request), request.length_ms());
    let part = |part: f64| {
        let share = if length > 0.0 { part / length } else { 0.0 };
        format!("{:>9} ms  {:>3.0} %", figure(part), share * 100.0)
    };
    let statements = match request.statements {
        1 => "1 statement".to_owned(),
        count => format!("{count} statements"),
    };
    let mut database = format!("in the database: {statements}");
    if request.database_exact_ms < request.database_ms {
        let exact = request.database_exact_ms / request.database_ms * 100.0;
        let _ = write!(
            database,
            "; {exact:.0} % of it is certainly this request's, the rest may belong to others that were open"
        );
    }
    let _ = writeln!(text, "{}  {database}", part(split.database));
    if split.queue > 0.0 {
        let queue = part(split.queue);
        let _ = writeln!(text, "{queue}  waiting for a server connection");
    }
    let elsewhere = part(split.elsewhere);
    let _ = writeln!(
        text,
        "{elsewhere}  elsewhere: the application, what else it calls, the network"
    );
    if let Some(first_byte) = request.first_byte_ms {
        let connected = figure(request.connected_ms.unwrap_or(0.0));
        let _ = write!(text, "Connected to the application after {connected} ms");
        if let Some(first) = request.statement_list.first() {
            let begun = figure(first.offset_ms - first.queued_ms);
            let _ = write!(text, ", first statement after {begun} ms");
        }
        let first_byte = figure(first_byte);
        let _ = writeln!(text, ", first byte of the answer after {first_byte} ms.");
    }
    let repeated = repeated(&request.statement_list);
    if !repeated.is_empty() {
        let times = |(summary, count): &(&str, usize)| format!("`{summary}` {count} times");
        let all: Vec<_> = repeated.iter().map(times).collect();
        let all = all.join(", ");
        let _ = writeln!(
            text,
            "With different values each: {all}. `paceline diagnose` says what to write instead."
        );
    }
}

/// The statements that ran often with other values, by their words.
fn repeated(statements: &[Statement]) -> Vec<(&str, usize)> {
    let mut seen: Vec<(&Statement, Vec<&str>)> = Vec::new();
    for statement in statements.iter().filter(|statement| statement.is_exact()) {
        let parameters = statement.parameters.as_str();
        match seen
            .iter_mut()
            .find(|(first, _)| first.text == statement.text)
        {
            Some((_, all)) if all.contains(&parameters) => {}
            Some((_, all)) => all.push(parameters),
            None => seen.push((statement, vec![parameters])),
        }
    }
    let often = seen
        .into_iter()
        .filter(|(_, all)| all.len() >= REPEATED_MIN);
    often
        .map(|(first, all)| (first.summary.as_str(), all.len()))
        .collect()
}

/// In the order of the first of each.
fn groups(statements: &[Statement], all: bool) -> Vec<Group<'_>> {
    let mut by_text: HashMap<&str, Vec<&Statement>> = HashMap::new();
    for statement in statements {
        by_text.entry(&statement.text).or_default().push(statement);
    }
    let mut groups = Vec::new();
    for statement in statements {
        match by_text.get(&*statement.text) {
            Some(members) if !all && members.len() >= GROUPED_MIN => {
                groups.extend(by_text.insert(&statement.text, Vec::new()).map(Group));
            }
            // It is in the row of the first.
            Some(members) if members.is_empty() => {}
            _ => groups.push(Group(vec![statement])),
        }
    }
    groups
}

impl<'r> Group<'r> {
    fn first(&self) -> &'r Statement {
        self.0[0]
    }

    fn render(&self, bars: &Bars, text: &mut String) {
        let mut name = self.first().summary.clone();
        if self.0.len() > 1 {
            let _ = write!(name, " × {}", self.0.len());
        }
        let runs = self.0.iter().map(|run| (run.offset_ms, run.end_ms()));
        let waits = self.0.iter().filter(|run| run.queued_ms > 0.0);
        let waits = waits.map(|run| (run.offset_ms - run.queued_ms, run.offset_ms));
        row(&name, &bars.draw(runs, waits), &self.figures(), text);
    }

    fn figures(&self) -> String {
        let sum = |of: fn(&Statement) -> f64| self.0.iter().copied().map(of).sum::<f64>();
        let duration = sum(|run| run.duration_ms.unwrap_or(0.0));
        let rows: u64 = self.0.iter().map(|run| run.rows).sum();
        let mut figures = format!("{} ms", figure(duration));
        let _ = match rows {
            1 => write!(figures, ", 1 row"),
            rows => write!(figures, ", {rows} rows"),
        };
        let queued = sum(|run| run.queued_ms);
        if queued > 0.0 {
            let _ = write!(figures, ", waited {} ms", figure(queued));
        }
        let failed = self.0.iter().find(|run| run.ending != "done");
        if let Some(failed) = failed {
            let sqlstate = failed.sqlstate.as_deref().unwrap_or_default();
            let _ = write!(figures, ", {} {sqlstate}", failed.ending);
        }
        if self.0.iter().any(|run| !run.is_exact()) {
            figures.push_str(", shared");
        }
        figures.trim_end().to_owned()
    }
}

fn row(name: &str, bar: &str, figures: &str, text: &mut String) {
    let mut shown: String = name.chars().take(NAME_COLUMNS).collect();
    if shown.len() < name.len() {
        shown.pop();
        shown.push('…');
    }
    let line = format!("{shown:NAME_COLUMNS$} {bar} {figures}");
    text.push_str(line.trim_end());
    text.push('\n');
}

/// Where bars are drawn.
struct Bars {
    columns: usize,
    length: f64,
}

impl Bars {
    /// A column is full when anything runs within it, dotted when something waits.
    fn draw(
        &self,
        runs: impl IntoIterator<Item = (f64, f64)>,
        waits: impl IntoIterator<Item = (f64, f64)>,
    ) -> String {
        let mut cells = vec![' '; self.columns];
        for (interval, mark) in (waits.into_iter().map(|wait| (wait, '·')))
            .chain(runs.into_iter().map(|run| (run, '█')))
        {
            let (from, to) = (self.column(interval.0), self.column(interval.1));
            // What is shorter than a column is seen all the same.
            cells[from.min(self.columns - 1)] = mark;
            cells[from..to.max(from)].fill(mark);
        }
        cells.into_iter().collect()
    }

    fn column(&self, at: f64) -> usize {
        if self.length <= 0.0 {
            return 0;
        }
        let share = (at / self.length).clamp(0.0, 1.0);
        (share * self.columns as f64).round() as usize
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
