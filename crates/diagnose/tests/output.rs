//! What programs and people get to read.

use paceline_diagnose::{
    Effort, Finding, Gain, Report, Severity, Subject, Suppressed, render_markdown, render_report,
    render_text, render_text_within,
};
use serde_json::{Value, json};

fn finding() -> Finding {
    let title = "GET /jobs executes `SELECT companies` 20 times per request, each time with other \
                 values, after `SELECT jobs`.";
    let subject = Subject::route("GET /jobs");
    let finding = Finding::new("n-plus-one", subject, Severity::High, title)
        .told_apart_by("SELECT companies", "SELECT c.name FROM companies AS c WHERE c.id = $1")
        .fact("executions_per_request", 20.0)
        .fact("before", json!({"shape": "SELECT jobs", "rows": 20.0}))
        .detail("Lost", "18.3 ms of database time per request, 41 % of the route's time; 12.4 s so far")
        .detail("Seen", "in 680 of 700 requests, at most 20 executions, 20 distinct sets of values; 100 % attributed exactly")
        .remedy(Effort::Small, "Fetch the rows for all values at once:")
        .statement("SELECT c.name FROM companies AS c WHERE c.id = ANY($1)")
        .gain(Gain::time(12_444.0, "12.4 s of database time so far"));
    Finding {
        time_lost_ms: 12_444.0,
        ..finding
    }
}

fn report(finding: Finding) -> Report {
    let findings = vec![finding];
    Report {
        quick_wins: findings.iter().map(|one| one.id.clone()).collect(),
        findings,
        ..Report::default()
    }
}

#[test]
fn the_json_form_has_these_keys() {
    let value = serde_json::to_value(finding()).unwrap();
    let object = value.as_object().unwrap();
    let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected =
        "details effort evidence gain id remedy rule severity subject time_lost_ms title verdict";
    assert_eq!(keys.join(" "), expected);
    let plain = ["rule", "severity", "effort", "verdict"].map(|key| value[key].clone());
    let expected = json!(["n-plus-one", "high", "small", "act"]);
    assert_eq!(Value::from(plain.to_vec()), expected);
    assert_eq!(
        value["subject"],
        json!({"kind": "route", "name": "GET /jobs"})
    );
    assert_eq!(value["evidence"]["executions_per_request"], json!(20.0));
    assert_eq!(value["evidence"]["before"]["shape"], json!("SELECT jobs"));
    assert_eq!(value["details"][0]["label"], json!("Lost"));
    assert_eq!(value["gain"]["time_ms"], json!(12_444.0));
    // A client reads back what the server wrote.
    assert_eq!(serde_json::from_value::<Finding>(value).unwrap(), finding());
}

#[test]
fn a_report_can_be_read_by_its_findings_alone() {
    let value = json!({"findings": [finding()]});
    let report: Report = serde_json::from_value(value).unwrap();
    assert_eq!(report.findings, [finding()]);
}

#[test]
fn text_for_people_says_what_where_how_much_and_what_to_do() {
    let mut finding = finding();
    finding.id = "n-plus-one.get-jobs.select-companies.00c0ffee".to_owned();
    let mut report = report(finding);
    report.suppressed.push(Suppressed {
        id: "unused-index.public-a.00000000".to_owned(),
        title: "-".to_owned(),
        reason: "for the yearly report".to_owned(),
    });
    report
        .not_read
        .push("pg_stats: permission denied".to_owned());
    assert_eq!(
        render_report(&report, 100),
        "\
1. [high] GET /jobs executes `SELECT companies` 20 times per request, each time with other values,
   after `SELECT jobs`.
   Lost       18.3 ms of database time per request, 41 % of the route's time; 12.4 s so far
   Seen       in 680 of 700 requests, at most 20 executions, 20 distinct sets of values; 100 %
              attributed exactly
   Remedy     Fetch the rows for all values at once: (effort: small)
              SELECT c.name FROM companies AS c WHERE c.id = ANY($1)
   Gain       12.4 s of database time so far
   Id         n-plus-one.get-jobs.select-companies.00c0ffee

Suppressed: 1
   -    unused-index.public-a.00000000: for the yearly report

Not looked at:
   -    pg_stats: permission denied

Quick wins, the largest gain first:
   1.   GET /jobs executes `SELECT companies` 20 times per request, each time with other values,
        after `SELECT jobs`: 12.4 s of database time so far

1 finding: 1 high.
"
    );
}

#[test]
fn no_line_is_wider_than_asked_and_no_word_is_lost() {
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let whole = words(&render_text(&[finding(), finding()]));
    for width in [72, 80, 100, 132, 1_000] {
        let text = render_text_within(&[finding(), finding()], width);
        assert!(
            text.lines().all(|line| line.chars().count() <= width),
            "{width}:\n{text}"
        );
        assert_eq!(words(&text), whole);
    }
    // Where a word does not fit at all, it stands alone.
    let narrow = render_text_within(&[finding()], 1);
    assert_eq!(words(&narrow), words(&render_text(&[finding()])));
}

#[test]
fn nothing_found_is_a_sentence_too() {
    assert_eq!(render_text(&[]), "No findings.\n");
    assert!(render_report(&Report::default(), 80).contains("No findings."));
    assert!(render_markdown(&Report::default()).contains("No findings."));
}

#[test]
fn pages_hold_nothing_that_a_name_could_have_slipped_in() {
    let evil = "\"><script>alert('&')</script>";
    let mut finding = finding()
        .detail(evil, evil)
        .statement(evil)
        .gain(Gain::text(evil));
    (finding.title, finding.id) = (evil.to_owned(), evil.to_owned());
    let mut report = report(finding);
    report.not_read.push(evil.to_owned());
    report.suppressed.push(Suppressed {
        id: evil.to_owned(),
        title: evil.to_owned(),
        reason: evil.to_owned(),
    });
    let page = render_markdown(&report);
    let code = format!("```sql\n{evil}\n```");
    let outside = page.replace(&code, "").replace(&format!("`{evil}`"), "");
    assert!(!outside.replace("\\<", "").contains("<script"), "{page}");
}
