//! The lists as tables: titles, and cells as text.

use std::fmt::Write as _;

use super::model::{Line, Model, View};
use super::snapshot::Pool;
use crate::terminal;

/// A column: its title and how wide its cells are. The first one takes what is left.
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) width: u16,
}

const fn column(title: &'static str, width: u16) -> Column {
    Column { title, width }
}

const ROUTES: &[Column] = &[
    column("route", 0),
    column("time", 5),
    column("busy", 6),
    column("per s", 8),
    column("err/s", 7),
    column("p50 ms", 8),
    column("p95 ms", 8),
    column("p99 ms", 8),
    column("db", 5),
    column("stmts", 6),
];

const SHAPES: &[Column] = &[
    column("statement", 0),
    column("time", 5),
    column("busy", 6),
    column("per s", 8),
    column("err/s", 7),
    column("p50 ms", 8),
    column("p95 ms", 8),
    column("p99 ms", 8),
    column("rows", 8),
];

const POOLS: &[Column] = &[
    column("pool", 0),
    column("used", 5),
    column("idle", 5),
    column("max", 5),
    column("pinned", 7),
    column("waiting", 8),
    column("longest ms", 11),
    column("p99 wait ms", 12),
    column("time-outs", 10),
    column("connects", 9),
];

pub(super) fn columns(view: View) -> &'static [Column] {
    match view {
        View::Routes => ROUTES,
        View::Shapes => SHAPES,
        View::Pools => POOLS,
    }
}

/// The cells of all rows, the first column's too.
pub(super) fn rows(model: &Model) -> Vec<Vec<String>> {
    match model.view {
        View::Routes | View::Shapes => model.lines().iter().map(cells).collect(),
        View::Pools => model.pools().iter().map(pool_cells).collect(),
    }
}

fn cells(line: &Line) -> Vec<String> {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let ms = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), figure);
    let mut cells = vec![
        line.name.clone(),
        percent(line.share),
        figure(line.busy),
        figure(line.per_second),
        figure(line.errors_per_second),
        ms(line.p50_ms),
        ms(line.p95_ms),
        ms(line.p99_ms),
    ];
    cells.extend(line.database_share.map(percent));
    cells.push(figure(line.each));
    cells
}

fn pool_cells(pool: &Pool) -> Vec<String> {
    let ms = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), figure);
    let max = pool.connections_max;
    vec![
        format!("{}/{}", pool.database, pool.user),
        pool.connections_used.to_string(),
        pool.connections_idle.to_string(),
        max.map_or_else(|| "-".to_owned(), |max| max.to_string()),
        pool.connections_pinned.to_string(),
        pool.clients_waiting.to_string(),
        ms(pool.longest_wait_ms),
        ms(pool.wait_ms.p99),
        pool.wait_timeouts_total.to_string(),
        pool.connects_total.to_string(),
    ]
}

/// Nothing at all is a dash.
fn figure(value: f64) -> String {
    match value {
        0.0 => "-".to_owned(),
        value => terminal::figure(value),
    }
}

/// Which instance, and how it is.
pub(super) fn heading(model: &Model) -> String {
    let Some(snapshot) = model.snapshot() else {
        return "paceline".to_owned();
    };
    let status = &snapshot.status;
    let mut text = format!("paceline {}  {} mode", status.version, status.mode);
    let _ = write!(text, "  up {:.0} s", status.uptime_s);
    if let Some(cpu) = model.cpu_share() {
        let _ = write!(text, "  {:.1} % of a core", cpu * 100.0);
    }
    if let Some(bytes) = status.memory_bytes {
        let _ = write!(text, "  {} MiB", bytes >> 20);
    }
    text
}

/// What the figures are about.
pub(super) fn caption(model: &Model) -> String {
    if model.view == View::Pools {
        return "now; waits, time-outs and connects since the start".to_owned();
    }
    let sort = model.sort.name();
    let interval = if model.is_since_start() {
        "since the start".to_owned()
    } else {
        format!(
            "of the last {:.1} s; percentiles since the start",
            model.interval_s()
        )
    };
    format!("by {sort}, {interval}")
}

/// All three lists as plain text, within so many columns.
pub(crate) fn plain(model: &mut Model, width: usize) -> String {
    let mut text = format!("{}\n", heading(model));
    for view in View::ALL {
        model.show(view);
        let _ = writeln!(text, "\n{} ({})", view.name(), caption(model));
        let columns = columns(view);
        let fixed: usize = columns.iter().map(|column| usize::from(column.width)).sum();
        let first = width.saturating_sub(fixed).max(20);
        let titles = columns.iter().map(|column| column.title.to_owned());
        line(&titles.collect::<Vec<_>>(), columns, first, &mut text);
        for cells in rows(model) {
            line(&cells, columns, first, &mut text);
        }
    }
    text
}

fn line(cells: &[String], columns: &[Column], first: usize, text: &mut String) {
    for (cell, column) in cells.iter().zip(columns) {
        let _ = match usize::from(column.width) {
            0 => write!(text, "{:first$}", cut(cell, first)),
            width => write!(text, "{cell:>width$}"),
        };
    }
    text.push('\n');
}

fn cut(cell: &str, width: usize) -> String {
    if cell.chars().count() < width {
        return cell.to_owned();
    }
    let kept = cell.chars().take(width.saturating_sub(2));
    kept.chain(['…']).collect()
}
