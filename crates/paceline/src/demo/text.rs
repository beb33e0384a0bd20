//! The result for people.

use std::fmt::Write as _;

use paceline_diagnose::render_text;

use super::remedies::Gain;
use super::summary::{Numbers, Side, Summary};
use super::verdict::is_worse_ms;

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
/// A delay of the load generator from which on it is worth a warning.
pub(super) const LAG_MS_MAX: f64 = 20.0;
const DIFFERENCES_SHOWN_MAX: usize = 10;

/// Findings, tables and the verdict.
pub(super) fn whole(summary: &Summary, colours: bool) -> String {
    let paint = Paint { colours };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n{}\n{}\n{}\n{}\n{}\n{}",
        paint.heading("Findings"),
        render_text(&summary.findings),
        routes(summary, paint),
        overall(summary, paint),
        gains(summary, paint),
        grades(summary, paint),
    );
    let Some(first) = summary.answers.different.first() else {
        let compared = summary.answers.compared;
        let _ = writeln!(
            text,
            "\n{compared} answers compared with direct ones: all the same."
        );
        let _ = writeln!(text, "\n{}", paint.heading(&summary.verdict));
        return text;
    };
    let count = summary.answers.different.len();
    let _ = writeln!(
        text,
        "\n{count} of {} answers differ:\n  {first}",
        summary.answers.compared
    );
    for difference in summary
        .answers
        .different
        .iter()
        .take(DIFFERENCES_SHOWN_MAX)
        .skip(1)
    {
        let _ = writeln!(text, "  {difference}");
    }
    let _ = writeln!(text, "\n{}", paint.heading(&summary.verdict));
    text
}

fn routes(summary: &Summary, paint: Paint) -> String {
    let width = summary
        .routes
        .iter()
        .map(|r| r.route.chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}",
        paint.heading(&format!(
            "Before → after, at {:.0} requests/s",
            summary.rate
        ))
    );
    let _ = writeln!(
        text,
        "{:<width$} {:>17} {:>17} {:>17} {:>15} {:>15} {:>15}",
        "", "p50 ms", "p95 ms", "p99 ms", "requests/s", "errors %", "statements/req"
    );
    for route in &summary.routes {
        text.push_str(&line(
            &route.route,
            width,
            &route.before,
            &route.after,
            paint,
        ));
    }
    text.push_str(&line(
        "total",
        width,
        &summary.before.load,
        &summary.after.load,
        paint,
    ));
    text
}

fn line(name: &str, width: usize, before: &Numbers, after: &Numbers, paint: Paint) -> String {
    let mut text = format!("{name:<width$}");
    let times = [
        (before.p50_ms, after.p50_ms),
        (before.p95_ms, after.p95_ms),
        (before.p99_ms, after.p99_ms),
    ];
    for (before, after) in times {
        let show = |ms: Option<f64>| ms.map_or("-".to_owned(), |ms| format!("{ms:.1}"));
        let cell = format!("{:>7} → {:>7}", show(before), show(after));
        let _ = write!(text, " {}", paint.change(&cell, before.zip(after)));
    }
    let rates = format!(
        "{:>6.1} → {:>6.1}",
        before.requests_per_s, after.requests_per_s
    );
    let errors = format!(
        "{:>6.2} → {:>6.2}",
        before.error_rate * 100.0,
        after.error_rate * 100.0
    );
    let statements = format!(
        "{:>6.1} → {:>6.1}",
        before.statements_per_request, after.statements_per_request
    );
    let _ = writeln!(text, " {rates} {errors} {statements}");
    text
}

fn overall(summary: &Summary, paint: Paint) -> String {
    let sides = [
        &summary.before,
        &summary.observe,
        &summary.after,
        &summary.remedied,
    ];
    let mut text = format!(
        "{}\n{:<38} {:>12} {:>12} {:>12} {:>12}\n",
        paint.heading("Overall"),
        "",
        "before",
        "observe",
        "after",
        "remedied"
    );
    let mut row = |name: &str, value: &dyn Fn(&Side) -> Option<String>| {
        let cells =
            sides.map(|side| format!("{:>12}", value(side).unwrap_or_else(|| "-".to_owned())));
        let _ = writeln!(text, "{name:<38} {}", cells.join(" "));
    };
    let ms = |ms: Option<f64>| ms.map(|ms| format!("{ms:.1}"));
    row("p50 ms", &|side| ms(side.load.p50_ms));
    row("p95 ms", &|side| ms(side.load.p95_ms));
    row("p99 ms", &|side| ms(side.load.p99_ms));
    row("requests sent, with warm-up", &|side| {
        Some(side.requests_sent.to_string())
    });
    row("database connections opened", &|side| {
        Some(side.connections_opened.to_string())
    });
    row("statements per request", &|side| {
        Some(format!("{:.1}", side.load.statements_per_request))
    });
    row("capacity, requests/s", &|side| {
        side.capacity_rps.map(|rps| format!("{rps:.0}"))
    });
    row("Paceline's own CPU per request, µs", &|side| {
        side.paceline_cpu_us_per_request
            .map(|us| format!("{us:.0}"))
    });
    row("load generator behind schedule, p99 ms", &|side| {
        ms(side.schedule_lag_p99_ms)
    });
    let lags = sides.map(|side| side.schedule_lag_p99_ms.unwrap_or(0.0));
    if lags.iter().any(|lag| *lag > LAG_MS_MAX) {
        text.push_str(
            "\nThe machine was so busy that the load generator itself was late; the latencies \
             contain its delay, so\ndo not compare them: run the demo again on a quiet machine.\n",
        );
    }
    text
}

/// What was gained for each finding of which that was measured.
fn gains(summary: &Summary, paint: Paint) -> String {
    let heading =
        "Gained: the same API written well, as the findings ask for (remedied), through Paceline";
    let mut text = format!("{}\n", paint.heading(heading));
    let mut any = false;
    for (at, finding) in summary.findings.iter().enumerate() {
        if let Some(gain) = Gain::of(finding, summary) {
            any = true;
            let (number, name) = (at + 1, &finding.subject.name);
            let _ = writeln!(
                text,
                "{number:>3}. {} of {name}: {}",
                finding.rule,
                gain.told(summary)
            );
        }
    }
    if any { text } else { String::new() }
}

/// What each load proved, and what is missing for more.
fn grades(summary: &Summary, paint: Paint) -> String {
    let sides = [
        ("before", &summary.before),
        ("after", &summary.after),
        ("remedied", &summary.remedied),
    ];
    let mut text = format!("{}\n", paint.heading("Grade"));
    for (name, side) in sides {
        let _ = writeln!(text, "{name:<10} {}", side.grade.headline());
        if let Some(next) = &side.grade.next {
            for missing in &next.missing {
                let _ = writeln!(text, "           for {}: {missing}", next.level);
            }
        }
        for sentence in &side.grade.critical {
            let _ = writeln!(text, "           critical: {sentence}");
        }
    }
    text
}

#[derive(Debug, Clone, Copy)]
struct Paint {
    colours: bool,
}

impl Paint {
    fn heading(self, text: &str) -> String {
        self.with(BOLD, text)
    }

    /// Green when a time fell, red when it rose, plain within noise.
    fn change(self, cell: &str, times: Option<(f64, f64)>) -> String {
        match times {
            Some((before, after)) if is_worse_ms(before, after) => self.with(RED, cell),
            Some((before, after)) if is_worse_ms(after, before) => self.with(GREEN, cell),
            _ => cell.to_owned(),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colours {
            format!("{code}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::summary::tests::summary;

    #[test]
    fn the_text_has_everything_and_colours_only_when_asked() {
        let summary = summary();
        let text = whole(&summary, false);
        for part in [
            "1. [high] GET /jobs executes",
            "write one",
            "GET /jobs    40.0 →    20.0",
            "database connections opened",
            "the verdict",
            "210 answers compared",
            "1. n-plus-one of GET /jobs: p50 20.0 → 5.0 ms",
            "before     none\n           for Bronze: p95: too high for Bronze",
            "after      none\n",
            "remedied   Bronze\n           for Silver: p95: too high for Silver",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(!text.contains('\x1b'));
        let coloured = whole(&summary, true);
        assert!(
            coloured.contains("\x1b[32m   40.0 →    20.0\x1b[0m"),
            "{coloured}"
        );
    }

    #[test]
    fn a_late_generator_is_admitted() {
        let mut summary = summary();
        assert!(!whole(&summary, false).contains("quiet machine"));
        summary.after.schedule_lag_p99_ms = Some(100.0);
        assert!(whole(&summary, false).contains("quiet machine"));
    }

    #[test]
    fn differences_are_named() {
        let mut summary = summary();
        summary.answers.different = (0..12).map(|n| format!("GET /{n}: status")).collect();
        let text = whole(&summary, false);
        assert!(
            text.contains("12 of 210 answers differ:\n  GET /0: status\n  GET /1"),
            "{text}"
        );
        assert!(
            text.contains("GET /9") && !text.contains("GET /10"),
            "{text}"
        );
    }
}
