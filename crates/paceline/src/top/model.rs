//! What is shown: two moments, the difference between them, and where the user looks. No terminal, no clock.

use std::collections::HashMap;

use super::snapshot::{Distribution, Pool, Route, Shape, Snapshot};

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum View {
    /// Requests by route.
    Routes,
    /// Statements by shape.
    Shapes,
    /// Server connections.
    Pools,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sort {
    /// Most time in the interval.
    Time,
    /// Most often in the interval.
    Rate,
    /// The highest 99th percentile since the start.
    P99,
    /// Most errors in the interval.
    Errors,
}

impl View {
    pub(crate) const ALL: [Self; 3] = [Self::Routes, Self::Shapes, Self::Pools];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Routes => "routes",
            Self::Shapes => "shapes",
            Self::Pools => "pools",
        }
    }
}

impl Sort {
    const ALL: [Self; 4] = [Self::Time, Self::Rate, Self::P99, Self::Errors];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Rate => "rate",
            Self::P99 => "p99",
            Self::Errors => "errors",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self);
        Self::ALL[(at.unwrap_or(0) + 1) % Self::ALL.len()]
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) view: View,
    pub(crate) sort: Sort,
    pub(crate) is_paused: bool,
    /// The row that is looked at.
    pub(crate) selected: usize,
    /// Why there are no newer figures.
    pub(crate) trouble: Option<String>,
    before: Option<Snapshot>,
    now: Option<Snapshot>,
}

/// A route or a shape: what happened in the interval, and how it was since the start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// The name in full.
    pub(crate) text: String,
    /// Seconds spent on it per second: so many were under way at a time, on average.
    pub(crate) busy: f64,
    /// Its part, 0 to 1, of what all spent.
    pub(crate) share: f64,
    pub(crate) per_second: f64,
    pub(crate) errors_per_second: f64,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// A route's database time as a part of its time; a shape's rows per execution.
    pub(crate) database_share: Option<f64>,
    pub(crate) each: f64,
}

/// What is counted up since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    count: f64,
    errors: f64,
    time_ms: f64,
    /// A route's.
    database_ms: Option<f64>,
    /// Statements of a route, rows of a shape.
    parts: f64,
}

impl Model {
    pub(crate) fn new(view: View, sort: Sort) -> Self {
        Self {
            view,
            sort,
            is_paused: false,
            selected: 0,
            trouble: None,
            before: None,
            now: None,
        }
    }

    /// The instance has answered, or has not.
    pub(crate) fn update(&mut self, result: anyhow::Result<Snapshot>) {
        match result {
            // What comes while it is paused is missed; the next interval is longer, then.
            Ok(_) if self.is_paused => {}
            Ok(snapshot) => {
                self.before = self.now.replace(snapshot);
                self.trouble = None;
                // After a restart everything counts from zero.
                let restarted = match (&self.before, &self.now) {
                    (Some(before), Some(now)) => before.status.started_at != now.status.started_at,
                    _ => false,
                };
                if restarted {
                    self.before = None;
                }
            }
            Err(error) => self.trouble = Some(format!("{error:#}")),
        }
        self.select(0);
    }

    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.now.as_ref()
    }

    /// Seconds that the figures of the interval are about.
    pub(crate) fn interval_s(&self) -> f64 {
        let uptime = |snapshot: &Snapshot| snapshot.status.uptime_s;
        let before = self.before.as_ref().map_or(0.0, uptime);
        let now = self.now.as_ref().map_or(0.0, uptime);
        (now - before).max(0.001)
    }

    /// Whether that is all the time since the start.
    pub(crate) fn is_since_start(&self) -> bool {
        self.before.is_none()
    }

    /// What the instance itself uses of a core, in the interval.
    pub(crate) fn cpu_share(&self) -> Option<f64> {
        let cpu = |snapshot: &Snapshot| snapshot.status.cpu_s;
        let before = self.before.as_ref().map_or(Some(0.0), cpu)?;
        Some((self.now.as_ref().and_then(cpu)? - before).max(0.0) / self.interval_s())
    }

    pub(crate) fn show(&mut self, view: View) {
        (self.view, self.selected) = (view, 0);
    }

    /// So many views further.
    pub(crate) fn turn(&mut self, by: usize) {
        let at = View::ALL.iter().position(|view| *view == self.view);
        self.show(View::ALL[(at.unwrap_or(0) + by) % View::ALL.len()]);
    }

    pub(crate) fn sort_next(&mut self) {
        (self.sort, self.selected) = (self.sort.next(), 0);
    }

    /// So many rows down, or up.
    pub(crate) fn select(&mut self, by: isize) {
        let last = self.count().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
    }

    fn count(&self) -> usize {
        self.now.as_ref().map_or(0, |now| match self.view {
            View::Routes => now.routes.len(),
            View::Shapes => now.shapes.len(),
            View::Pools => now.pools.len(),
        })
    }

    pub(crate) fn pools(&self) -> &[Pool] {
        self.now.as_ref().map_or(&[], |now| &now.pools)
    }

    /// The routes, or the shapes, in order.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let Some(now) = &self.now else {
            return Vec::new();
        };
        let before = self.before.as_ref();
        let mut lines = match self.view {
            View::Shapes => self.measure(before.map(|before| &*before.shapes), &now.shapes),
            _ => self.measure(before.map(|before| &*before.routes), &now.routes),
        };
        let key = |line: &Line| match self.sort {
            Sort::Time => line.busy,
            Sort::Rate => line.per_second,
            Sort::P99 => line.p99_ms.unwrap_or(0.0),
            Sort::Errors => line.errors_per_second,
        };
        // Equal ones stay as the instance lists them: most time since the start first.
        lines.sort_by(|one, two| key(two).total_cmp(&key(one)));
        lines
    }

    fn measure<T: Counted>(&self, before: Option<&[T]>, now: &[T]) -> Vec<Line> {
        let before: HashMap<&str, Counts> = before
            .unwrap_or_default()
            .iter()
            .map(|counted| (counted.text(), counted.counts()))
            .collect();
        let since = |counted: &T| counted.counts().since(before.get(counted.text()));
        let (seconds, all) = (
            self.interval_s(),
            now.iter().map(|counted| since(counted).time_ms).sum(),
        );
        let part = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let line = |counted: &T| {
            let (counts, times) = (since(counted), counted.times());
            Line {
                name: counted.name().to_owned(),
                text: counted.text().to_owned(),
                busy: counts.time_ms / 1_000.0 / seconds,
                share: part(counts.time_ms, all),
                per_second: counts.count / seconds,
                errors_per_second: counts.errors / seconds,
                p50_ms: times.p50,
                p95_ms: times.p95,
                p99_ms: times.p99,
                database_share: counts
                    .database_ms
                    .map(|database| part(database, counts.time_ms)),
                each: part(counts.parts, counts.count),
            }
        };
        now.iter().map(line).collect()
    }
}

/// What is counted by the instance under a name.
trait Counted {
    /// In a few words.
    fn name(&self) -> &str;
    /// In full; no two are equal.
    fn text(&self) -> &str;
    fn times(&self) -> &Distribution;
    fn counts(&self) -> Counts;
}

impl Counts {
    /// What has been added.
    fn since(self, before: Option<&Counts>) -> Self {
        let before = before.copied().unwrap_or_default();
        Self {
            count: (self.count - before.count).max(0.0),
            errors: (self.errors - before.errors).max(0.0),
            time_ms: (self.time_ms - before.time_ms).max(0.0),
            database_ms: self
                .database_ms
                .map(|database| (database - before.database_ms.unwrap_or(0.0)).max(0.0)),
            parts: (self.parts - before.parts).max(0.0),
        }
    }
}

impl Counted for Route {
    fn name(&self) -> &str {
        &self.route
    }

    fn text(&self) -> &str {
        &self.route
    }

    fn times(&self) -> &Distribution {
        &self.latency_ms
    }

    fn counts(&self) -> Counts {
        Counts {
            count: self.requests as f64,
            errors: self.errors as f64,
            time_ms: self.latency_ms.total,
            database_ms: Some(self.database_ms_total),
            parts: self.statements + self.statements_shared,
        }
    }
}

impl Counted for Shape {
    fn name(&self) -> &str {
        &self.summary
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn times(&self) -> &Distribution {
        &self.time_ms
    }

    fn counts(&self) -> Counts {
        Counts {
            count: self.executions as f64,
            errors: self.errors as f64,
            time_ms: self.time_ms.total,
            database_ms: None,
            parts: self.rows as f64,
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
pub(super) mod tests;
