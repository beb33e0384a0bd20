//! What `paceline diagnose` found, in the report's form.

use paceline_diagnose::{Finding, Report, Severity, Verdict};
use paceline_report as page;
use paceline_report::{Fact, QuickWin, Tone};

/// All that was found, what was not looked at, and what to do first.
pub(crate) fn of_diagnosis(report: &Report) -> page::Report {
    let suppressed = report.suppressed.iter();
    super::signed(page::Report {
        title: "Findings".to_owned(),
        verdict: verdict(report),
        findings: Some(report.findings.iter().map(super::finding).collect()),
        quick_wins: quick_wins(report),
        suppressed: suppressed
            .map(|one| Fact::new(&one.id, &one.reason))
            .collect(),
        method: super::call(),
        unmeasured: report.blind_spots(),
        ..page::Report::default()
    })
}

/// What to do first, with its place among the findings.
pub(crate) fn quick_wins(report: &Report) -> Vec<QuickWin> {
    let wins = report.quick_wins().map(|(finding, win)| QuickWin {
        finding,
        title: win.title.clone(),
        gain: win.gain.text.clone(),
    });
    wins.collect()
}

fn verdict(report: &Report) -> page::Verdict {
    let to_do = || {
        let findings = report.findings.iter();
        findings.filter(|one| one.verdict == Verdict::Act)
    };
    let (tone, word) = match to_do().map(|one| one.severity).max() {
        Some(Severity::High) => (Tone::Bad, "Needs attention"),
        Some(Severity::Medium) => (Tone::Mixed, "Worth doing"),
        Some(Severity::Low) => (Tone::Neutral, "Small things"),
        None if report.not_read.is_empty() => (Tone::Good, "Nothing to do"),
        None => (Tone::Neutral, "Nothing to do in what was read"),
    };
    let costliest = |one: &Finding| format!(" First: {}", one.title);
    let first = to_do().next().map(costliest).unwrap_or_default();
    page::Verdict {
        tone,
        word: word.to_owned(),
        text: format!("{}{first}", report.summary()),
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_diagnose::{Effort, Gain, Subject, Suppressed};

    fn report(severities: &[Severity]) -> Report {
        let findings = severities.iter().map(|severity| {
            let title = format!("A {severity} thing.");
            let finding = Finding::new("rule", Subject::table("jobs"), *severity, title);
            finding.remedy(Effort::Small, "Mend it.")
        });
        let findings: Vec<_> = findings.collect();
        Report {
            quick_wins: findings.iter().map(|one| one.id.clone()).collect(),
            findings,
            ..Report::default()
        }
    }

    #[test]
    fn the_verdict_is_that_of_the_worst_finding_that_there_is_something_to_do_about() {
        use Severity::{High, Low, Medium};
        let rows: [(&[Severity], Tone, &str); 4] = [
            (
                &[Low, High],
                Tone::Bad,
                "2 findings: 1 high, 1 low. First: A low thing.",
            ),
            (
                &[Medium, Low],
                Tone::Mixed,
                "2 findings: 1 medium, 1 low. First: A medium thing.",
            ),
            (
                &[Low],
                Tone::Neutral,
                "1 finding: 1 low. First: A low thing.",
            ),
            (&[], Tone::Good, "No findings."),
        ];
        for (severities, tone, text) in rows {
            let found = verdict(&report(severities));
            assert_eq!((found.tone, &*found.text), (tone, text));
        }
        let mut alone = report(&[High]);
        alone.findings[0].verdict = Verdict::LeaveAlone;
        assert_eq!(verdict(&alone).tone, Tone::Good);
        alone.not_read.push("pg_stats: denied".to_owned());
        assert_eq!(verdict(&alone).tone, Tone::Neutral);
    }

    #[test]
    fn everything_is_there_and_nothing_that_a_name_could_have_slipped_in() {
        let evil = "\"><script>alert('&')</script>";
        let mut report = report(&[Severity::High]);
        let finding = report.findings.remove(0).detail(evil, evil);
        let mut finding = finding.statement(evil).gain(Gain::text(evil));
        (finding.title, finding.id) = (evil.to_owned(), evil.to_owned());
        report.findings.push(finding);
        report.quick_wins = vec![evil.to_owned()];
        report.not_read.push(evil.to_owned());
        report.suppressed.push(Suppressed {
            id: evil.to_owned(),
            title: evil.to_owned(),
            reason: evil.to_owned(),
        });
        let page = super::super::html(&of_diagnosis(&report));
        assert!(
            !page.contains("<script") && !page.contains("alert('"),
            "{page}"
        );
        let shown = "&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;";
        // The verdict; title, label, text, statement, gain and id of the finding; title and gain of the quick win; what was not
        // read; id and reason of what was suppressed.
        assert_eq!(page.matches(shown).count(), 12, "{page}");
        for part in [
            "Quick wins",
            "Suppressed",
            "What was not looked at",
            "href=\"#finding-1\"",
        ] {
            assert!(page.contains(part), "{part} is not in:\n{page}");
        }
        assert!(!page.contains("How it was measured"), "{page}");
    }
}
