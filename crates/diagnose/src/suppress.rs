//! Findings that somebody has looked at and does not want to see again, with the reason.

use serde::{Deserialize, Serialize};

use crate::finding::Finding;

/// What is not to be reported. What is given must all hold; with nothing given, nothing does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Suppression {
    /// The id of one finding.
    pub id: Option<String>,
    /// The name of a rule.
    pub rule: Option<String>,
    /// The name of the subject; `*` stands for any characters.
    pub subject: Option<String>,
    /// Why.
    pub reason: String,
}

impl Suppression {
    fn covers(&self, finding: &Finding) -> bool {
        let holds = |wanted: &Option<String>, is: &dyn Fn(&str) -> bool| match wanted {
            Some(wanted) => is(wanted),
            None => true,
        };
        (self.id.is_some() || self.rule.is_some() || self.subject.is_some())
            && holds(&self.id, &|id| finding.id == id)
            && holds(&self.rule, &|rule| finding.rule == rule)
            && holds(&self.subject, &|glob| matches(glob, &finding.subject.name))
    }
}

/// A finding that is not reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suppressed {
    /// Its id.
    pub id: String,
    /// Its one sentence.
    pub title: String,
    /// Why it is not reported.
    pub reason: String,
}

/// Takes those that are suppressed out of the findings.
pub(crate) fn take(findings: &mut Vec<Finding>, suppressions: &[Suppression]) -> Vec<Suppressed> {
    let mut suppressed = Vec::new();
    findings.retain(|finding| {
        let Some(why) = suppressions.iter().find(|one| one.covers(finding)) else {
            return true;
        };
        suppressed.push(Suppressed {
            id: finding.id.clone(),
            title: finding.title.clone(),
            reason: why.reason.clone(),
        });
        false
    });
    suppressed
}

/// Whether the text is what the pattern says, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let (first, last) = (parts.next().unwrap_or_default(), parts.next_back());
    let Some(last) = last else {
        return first == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    // Each part as early as can be leaves the most for those behind it.
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Severity, Subject};

    #[test]
    fn stars_stand_for_any_characters() {
        let rows = [
            ("public.jobs", "public.jobs", true),
            ("public.*", "public.jobs", true),
            ("*.jobs", "public.jobs", true),
            ("*", "", true),
            ("p*c.j*s", "public.jobs", true),
            ("*ö*", "größe", true),
            ("public.*", "other.jobs", false),
            ("public", "public.jobs", false),
            ("*.job", "public.jobs", false),
            ("", "x", false),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn all_that_is_given_must_hold() {
        let finding = Finding::new(
            "unused-index",
            Subject::index("public.a"),
            Severity::Low,
            "-",
        );
        let some = |text: &str| Some(text.to_owned());
        let rows = [
            (some(&finding.id), None, None, true),
            (None, some("unused-index"), None, true),
            (None, some("unused-index"), some("public.*"), true),
            (None, None, some("public.a"), true),
            (some("another"), None, None, false),
            (None, some("unused-index"), some("audit.*"), false),
            (None, some("bloated-index"), some("public.*"), false),
            (None, None, None, false),
        ];
        for (id, rule, subject, expected) in rows {
            let suppression = Suppression {
                id,
                rule,
                subject,
                reason: "because".to_owned(),
            };
            let mut findings = vec![finding.clone()];
            let suppressed = take(&mut findings, std::slice::from_ref(&suppression));
            assert_eq!(suppressed.len(), usize::from(expected), "{suppression:?}");
            assert_eq!(findings.is_empty(), expected);
            assert!(
                suppressed
                    .iter()
                    .all(|one| one.reason == "because" && one.id == finding.id)
            );
        }
    }
}
