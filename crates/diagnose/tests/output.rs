//! What programs and people get to read.

use paceline_diagnose::{
    Effort, Evidence, Finding, FindingKind, PrecedingStatement, RepetitionEvidence, Severity,
    render_text, render_text_within,
};
use serde_json::{Value, json};

fn finding() -> Finding {
    Finding {
        id: "n-plus-one.get-jobs.select-companies.00c0ffee".to_owned(),
        kind: FindingKind::NPlusOne,
        route: "GET /jobs".to_owned(),
        severity: Severity::High,
        title: "GET /jobs executes `SELECT companies` 20 times per request, each time with other \
                values, after `SELECT jobs`."
            .to_owned(),
        evidence: Evidence::Repetition(RepetitionEvidence {
            shape: "SELECT companies".to_owned(),
            statement: "SELECT c.name FROM companies AS c WHERE c.id = $1".to_owned(),
            requests: 680,
            route_requests: 700,
            executions_per_request: 20.0,
            executions_max: 20,
            distinct_parameters_max: 20,
            time_per_request_ms: 19.3,
            time_lost_per_request_ms: 18.3,
            time_share: 0.412,
            before: Some(PrecedingStatement {
                shape: "SELECT jobs".to_owned(),
                statement: "SELECT * FROM jobs LIMIT $1".to_owned(),
                requests: 680,
                rows: 20.0,
            }),
            batched_statement: Some(
                "SELECT c.name FROM companies AS c WHERE c.id = ANY($1)".to_owned(),
            ),
            example_request: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
            exact_share: 1.0,
        }),
        remedy: "Fetch the rows for all values at once.".to_owned(),
        effort: Effort::Small,
        time_lost_ms: 12_444.0,
    }
}

#[test]
fn the_json_form_has_these_keys() {
    let value = serde_json::to_value(finding()).unwrap();
    let object = value.as_object().unwrap();
    let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "effort",
            "evidence",
            "id",
            "kind",
            "remedy",
            "route",
            "severity",
            "time_lost_ms",
            "title"
        ]
    );
    let plain = ["kind", "route", "severity", "effort"].map(|key| value[key].clone());
    assert_eq!(
        Value::from(plain.to_vec()),
        json!(["n-plus-one", "GET /jobs", "high", "small"])
    );
    assert_eq!(value["evidence"]["executions_per_request"], json!(20.0));
    assert_eq!(value["evidence"]["before"]["shape"], json!("SELECT jobs"));
    // A client reads back what the server wrote.
    assert_eq!(serde_json::from_value::<Finding>(value).unwrap(), finding());
}

#[test]
fn text_for_people_says_what_where_how_much_and_what_to_do() {
    assert_eq!(
        render_text(&[finding()]),
        "\
1. [high] GET /jobs executes `SELECT companies` 20 times per request, each time with other values,
   after `SELECT jobs`.
   Lost       18.3 ms of database time per request, 41 % of the route's time; 12.4 s so far
   Seen       in 680 of 700 requests, at most 20 executions, 20 distinct sets of values; 100 %
              attributed exactly
   Statement  SELECT c.name FROM companies AS c WHERE c.id = $1
   After      SELECT * FROM jobs LIMIT $1 (20.0 rows on average)
   Remedy     Fetch the rows for all values at once. (effort: small)
   Example    request 0af7651916cd43dd8448eb211c80319c
   Id         n-plus-one.get-jobs.select-companies.00c0ffee
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
}

#[test]
fn a_long_statement_is_cut_in_the_text_only() {
    let mut finding = finding();
    let Evidence::Repetition(evidence) = &mut finding.evidence;
    evidence.statement = format!("SELECT {}", "ä, ".repeat(1_000));
    let text = render_text(&[finding.clone()]);
    assert!(text.contains('…') && text.len() < 2_000, "{}", text.len());
    let value = serde_json::to_value(&finding).unwrap();
    assert!(value["evidence"]["statement"].as_str().unwrap().len() > 3_000);
}
