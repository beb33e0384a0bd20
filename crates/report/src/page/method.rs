//! How it was measured, what was not, and how to read it.

use std::fmt::{self, Write as _};

use super::findings::write_fact;
use crate::data::{Fact, Report, Route, Value};
use crate::escape::Text;

pub(super) fn write(report: &Report, page: &mut String) -> fmt::Result {
    if !report.method.is_empty() {
        write_facts(&report.method, page)?;
    }
    if !report.unmeasured.is_empty() {
        let what = if report.is_measured() {
            "measured"
        } else {
            "looked at"
        };
        writeln!(page, "<h3>What was not {what}</h3>\n<ul>")?;
        for sentence in &report.unmeasured {
            writeln!(page, "<li>{}</li>", Text(sentence))?;
        }
        page.push_str("</ul>\n");
    }
    if report.is_measured() {
        write_reading(report, page);
    }
    Ok(())
}

/// Lines in a list.
pub(super) fn write_facts(facts: &[Fact], page: &mut String) -> fmt::Result {
    page.push_str("<dl class=\"facts\">\n");
    for fact in facts {
        write_fact(fact, page)?;
    }
    page.push_str("</dl>\n");
    Ok(())
}

fn write_reading(report: &Report, page: &mut String) {
    page.push_str("<h3>How to read it</h3>\n<ul>\n");
    let mut say = |sentence: &str| {
        page.push_str("<li>");
        page.push_str(sentence);
        page.push_str("</li>\n");
    };
    say("p95 is the latency that 95 % of the requests did not exceed; p50 is the median.");
    say(
        "Below a number stands its 95 % interval: measured again under the same conditions, the number would most likely lie in it.",
    );
    let is_compared = report.comparisons.iter().any(|one| one.sides.len() > 1);
    if is_compared {
        say(
            "A change is called better or worse only when its whole interval says so; otherwise it is not proved, which does \
             not mean that there is none.",
        );
    }
    let routes = report
        .comparisons
        .iter()
        .flat_map(|one| one.total.iter().chain(&one.routes));
    if routes.flat_map(Route::values).any(Value::is_unsure) {
        say(
            "A number in grey has no interval: there were too few requests to say how far it can be trusted.",
        );
    }
    page.push_str("</ul>\n");
}

impl Report {
    /// Whether there is a measurement, or only a look.
    pub(super) fn is_measured(&self) -> bool {
        !self.comparisons.is_empty()
    }
}

impl Route {
    fn values(&self) -> impl Iterator<Item = Value> {
        self.measures
            .iter()
            .flat_map(|measure| measure.values.iter().copied().flatten())
    }
}

impl Value {
    fn is_unsure(self) -> bool {
        self.interval.is_none() && !self.counted
    }
}
