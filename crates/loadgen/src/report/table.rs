//! The report for people.

use super::{Percentiles, Report, Row};
use std::fmt;

/// A lag from which on the generator's own delay distorts what it measured.
const LAG_MS_MAX: f64 = 5.0;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mode.as_str())?;
        if let Some(rate) = self.rate {
            write!(f, ", {rate:.1} requests/s intended")?;
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

        let width = self
            .routes
            .iter()
            .map(|row| row.route.chars().count())
            .max()
            .unwrap_or(0)
            .max(5);
        write!(f, "{:<width$}", "route")?;
        for head in [
            "requests", "per s", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors", "dropped",
        ] {
            write!(f, " {head:>9}")?;
        }
        writeln!(f)?;
        for row in self.routes.iter().chain([&self.total]) {
            writeln!(f, "{}", Line { row, width })?;
        }
        self.write_errors(f)?;
        self.write_generator(f)
    }
}

impl Report {
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
        if lag > LAG_MS_MAX {
            writeln!(
                f,
                "warning: the generator itself was overloaded; the latencies contain its delay"
            )?;
        }
        Ok(())
    }
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
