//! A capacity for people.

use super::{Capacity, Limit, Outcome, Stop};
use std::fmt;

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>12} {:>10} {:>10} {:>10}  outcome, and each objective's 95 % interval",
            "requests/s", "seconds", "answered", "late ms"
        )?;
        for step in &self.steps {
            let lag = step.schedule_lag_p99_ms;
            let lag = lag.map_or("-".to_owned(), |lag| format!("{lag:.2}"));
            write!(
                f,
                "{:>12.1} {:>10.1} {:>10.1} {lag:>10}  {}",
                step.rate, step.duration_s, step.requests_per_s, step.outcome
            )?;
            for (objective, measured) in self.objectives.iter().zip(&step.measured) {
                match measured {
                    Some(m) => write!(f, ", {objective}: {:.4} to {:.4}", m.low, m.high)?,
                    None => write!(f, ", {objective}: too few requests")?,
                }
            }
            writeln!(f)?;
        }
        writeln!(f, "\n{}", self.sentence())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "kept",
            Self::Missed => "missed",
            Self::Unsure => "not sure",
            Self::Overloaded => "overloaded",
            Self::GeneratorLate => "generator late",
        })
    }
}

impl Capacity {
    /// What was found, as a sentence.
    pub fn sentence(&self) -> String {
        let objectives = self.objectives.join(" and ");
        let found = match (self.rate, self.missed_at) {
            (Some(kept), Some(missed)) => format!(
                "{objectives} is kept at {kept:.0} requests/s and not at {missed:.0} any more"
            ),
            (Some(kept), None) => {
                format!("{objectives} is kept at {kept:.0} requests/s and perhaps beyond")
            }
            (None, Some(missed)) => {
                format!("{objectives} was kept at no rate, not even at {missed:.1} requests/s")
            }
            (None, None) => format!("Nothing is known of {objectives}"),
        };
        let limit = match self.limited_by {
            Limit::Server => "; the server is the limit",
            Limit::Generator => {
                "; the load generator is the limit, not the server: give it more --threads or a machine of its own"
            }
            Limit::Unknown => "",
        };
        let stopped = match self.stopped {
            Stop::Close | Stop::RateMin => "",
            Stop::RateMax => " (higher rates are not tried)",
            Stop::Steps => " (it took too many steps to know better)",
            Stop::Cancelled => " (the search was ended early)",
        };
        format!("{found}{limit}{stopped}.")
    }
}
