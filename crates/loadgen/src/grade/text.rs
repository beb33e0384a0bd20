//! A grade for people.

use super::{Grade, Level};
use std::fmt;

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bronze => "Bronze",
            Self::Silver => "Silver",
            Self::Gold => "Gold",
        })
    }
}

impl Grade {
    /// The grade in one line, without its reasons.
    pub fn headline(&self) -> String {
        let level = match self.level {
            Some(level) => level.to_string(),
            None => "none".to_owned(),
        };
        let hits = self.criteria.iter().find(|c| c.name == "hit_rate");
        match hits {
            Some(hits) if hits.measured.is_none() => {
                format!("{level}; the hit rate was not measured, there is no cache")
            }
            _ => level,
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "grade: {}", self.headline())?;
        if let Some(next) = &self.next {
            for missing in &next.missing {
                writeln!(f, "  for {}: {missing}", next.level)?;
            }
        }
        for sentence in &self.critical {
            writeln!(f, "  critical: {sentence}")?;
        }
        if self.generator_late {
            writeln!(
                f,
                "  the generator itself was late, and the latencies contain its delay"
            )?;
        }
        Ok(())
    }
}
