//! A comparison for people.

use super::{Compared, Comparison};
use crate::Estimate;
use std::fmt;

/// What is certain of a row: whose interval excludes 1, or 0 for the difference of errors.
pub(super) fn verdict(row: &Compared) -> Option<String> {
    let certain = |name: &str, ratio: Option<Estimate>, words: [&str; 2]| {
        let ratio = ratio.filter(|r| !holds(r, 1.0))?;
        let word = words[usize::from(ratio.value > 1.0)];
        Some(format!("{name} is {word}: {}", times(&ratio)))
    };
    let slower = ["lower", "higher"];
    let mut sentences: Vec<String> = [
        certain("p50", row.ratio.p50_ms, slower),
        certain("p95", row.ratio.p95_ms, slower),
        certain("p99", row.ratio.p99_ms, slower),
        certain("throughput", row.ratio.requests_per_s, slower),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(difference) = row.error_difference.filter(|d| !holds(d, 0.0)) {
        let word = slower[usize::from(difference.value > 0.0)];
        sentences.push(format!(
            "the error rate is {word}: {:.3} % instead of {:.3} %",
            row.b.error_rate * 100.0,
            row.a.error_rate * 100.0
        ));
    }
    (!sentences.is_empty()).then(|| format!("Of B, {}.", sentences.join("; ")))
}

fn holds(estimate: &Estimate, value: f64) -> bool {
    estimate.low <= value && value <= estimate.high
}

fn times(estimate: &Estimate) -> String {
    let Estimate { value, low, high } = estimate;
    format!("{value:.3} × ({low:.3} to {high:.3})")
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            a,
            b,
            pairs,
            block_s,
            ..
        } = self;
        writeln!(f, "A is {a}\nB is {b}")?;
        write!(f, "{}", self.mode.as_str())?;
        if let Some(rate) = self.rate {
            write!(f, ", {rate:.1} requests/s intended")?;
        }
        let ended = if self.cancelled { " (ended early)" } else { "" };
        writeln!(
            f,
            ", {pairs} blocks of {block_s:.2} s each, in turns{ended}, seed {}\n",
            self.seed
        )?;
        let rows = self.routes.iter().chain([&self.total]);
        let width = rows.clone().map(|row| row.route.chars().count()).max();
        let width = width.unwrap_or(0).max(5);
        writeln!(
            f,
            "{:<width$} {:<12} {:>10} {:>10}   B / A (95 % interval)",
            "route", "", "A", "B"
        )?;
        for row in rows {
            write_row(f, row, width)?;
        }
        writeln!(f)?;
        match &self.verdict {
            Some(verdict) => writeln!(f, "{verdict}")?,
            None => writeln!(f, "No difference can be told from chance.")?,
        }
        if self.generator_late {
            let late =
                "warning: the generator itself was overloaded; the latencies contain its delay";
            writeln!(f, "{late}")?;
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &Compared, width: usize) -> fmt::Result {
    let (a, b, ratio) = (&row.a, &row.b, &row.ratio);
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.2}"));
    let lines = [
        ("p50 ms", ms(a.p50_ms), ms(b.p50_ms), ratio.p50_ms),
        ("p95 ms", ms(a.p95_ms), ms(b.p95_ms), ratio.p95_ms),
        ("p99 ms", ms(a.p99_ms), ms(b.p99_ms), ratio.p99_ms),
        (
            "per s",
            format!("{:.1}", a.requests_per_s),
            format!("{:.1}", b.requests_per_s),
            ratio.requests_per_s,
        ),
        (
            "errors %",
            format!("{:.3}", a.error_rate * 100.0),
            format!("{:.3}", b.error_rate * 100.0),
            ratio.error_rate,
        ),
    ];
    for (n, (name, a, b, ratio)) in lines.into_iter().enumerate() {
        let route = if n == 0 { &*row.route } else { "" };
        let ratio = match ratio {
            // What excludes 1 is marked.
            Some(ratio) if !holds(&ratio, 1.0) => format!("{} *", times(&ratio)),
            Some(ratio) => times(&ratio),
            None => "-".to_owned(),
        };
        writeln!(f, "{route:<width$} {name:<12} {a:>10} {b:>10}   {ratio}")?;
    }
    Ok(())
}
