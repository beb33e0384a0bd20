//! The report for people.

use super::{Percentiles, Report, Row};
use crate::{Estimate, Intervals};
use std::fmt;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mode.as_str())?;
        if let Some(rate) = self.rate {
            write!(f, ", {rate:.1} requests/s intended")?;
        }
        if let Some(first) = self.stages.first() {
            write!(f, ", {}", first.rate_from)?;
            for stage in &self.stages {
                write!(f, " → {}", stage.rate_to)?;
            }
            write!(f, " requests/s intended")?;
        }
        if let Some(connections) = self.connections {
            write!(f, ", {connections} connections")?;
        }
        let ended = if self.cancelled { " (ended early)" } else { "" };
        writeln!(
            f,
            ", {:.1} s measured{ended}, seed {}\n",
            self.duration_s, self.seed
        )?;

        let stages: Vec<&Row> = self.stages.iter().map(|stage| &stage.row).collect();
        let routes: Vec<&Row> = self.routes.iter().chain([&self.total]).collect();
        let rows = stages.iter().chain(&routes);
        let width = rows.map(|row| row.route.chars().count()).max();
        let width = width.unwrap_or(0).max(5);
        if !stages.is_empty() {
            write_rows(f, "stage", &stages, width)?;
            writeln!(f)?;
        }
        write_rows(f, "route", &routes, width)?;
        self.write_intervals(f)?;
        self.write_errors(f)?;
        self.write_generator(f)?;
        match &self.process {
            Some(process) => write!(f, "\n{process}"),
            None => Ok(()),
        }
    }
}

impl Report {
    fn write_intervals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Intervals {
            p50_ms,
            p95_ms,
            p99_ms,
            error_rate,
            ..
        } = self.intervals;
        let known = [("p50", p50_ms), ("p95", p95_ms), ("p99", p99_ms)];
        let mut known: Vec<String> = known
            .iter()
            .filter_map(|(name, estimate)| {
                let Estimate { low, high, .. } = (*estimate)?;
                Some(format!("{name} {low:.2} to {high:.2} ms"))
            })
            .collect();
        known.extend(error_rate.map(|Estimate { low, high, .. }| {
            format!("errors {:.3} to {:.3} %", low * 100.0, high * 100.0)
        }));
        if known.is_empty() {
            return Ok(());
        }
        writeln!(f, "95 % intervals of the total: {}", known.join(", "))
    }

    fn write_errors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = &self.total.errors;
        if errors.count() == 0 {
            return Ok(());
        }
        writeln!(f, "\nerrors")?;
        let kinds = [
            ("connect", errors.connect),
            ("timeout", errors.timeout),
            ("protocol", errors.protocol),
        ];
        for (kind, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "  {kind} {count}")?;
            match errors.examples.get(kind) {
                Some(example) => writeln!(f, ": {example}")?,
                None => writeln!(f)?,
            }
        }
        for (status, count) in &errors.status {
            writeln!(f, "  status {status}: {count}")?;
        }
        Ok(())
    }

    fn write_generator(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(lag) = self.generator.schedule_lag_p99_ms else {
            return Ok(());
        };
        writeln!(
            f,
            "\ngenerator: {lag:.2} ms behind its schedule at p99, {} connections opened, \
             at most {} requests under way",
            self.generator.connections_opened, self.generator.in_flight_max
        )?;
        if self.generator.is_late() {
            writeln!(
                f,
                "warning: the generator itself was overloaded; the latencies contain its delay"
            )?;
        }
        Ok(())
    }
}

fn write_rows(f: &mut fmt::Formatter<'_>, first: &str, rows: &[&Row], width: usize) -> fmt::Result {
    write!(f, "{first:<width$}")?;
    for head in [
        "requests", "per s", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors", "dropped",
    ] {
        write!(f, " {head:>9}")?;
    }
    writeln!(f)?;
    for row in rows {
        writeln!(f, "{}", Line { row, width })?;
    }
    Ok(())
}

struct Line<'r> {
    row: &'r Row,
    width: usize,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row {
            route,
            requests,
            requests_per_s,
            latency,
            errors,
            dropped,
            ..
        } = self.row;
        let Percentiles {
            p50_ms,
            p95_ms,
            p99_ms,
            max_ms,
            ..
        } = *latency;
        write!(
            f,
            "{route:<width$} {requests:>9} {requests_per_s:>9.1}",
            width = self.width
        )?;
        for ms in [p50_ms, p95_ms, p99_ms, max_ms] {
            match ms {
                Some(ms) => write!(f, " {ms:>9.2}")?,
                None => write!(f, " {:>9}", "-")?,
            }
        }
        write!(f, " {:>9} {dropped:>9}", errors.count())
    }
}
