//! The page is read back by a strict parser of the OpenMetrics text format, which is itself tried on bad pages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use paceline_journal::{
    Config, ConnectionId, Journal, LoadStart, Outcome, StatementEnd, StatementStart,
};
use paceline_sql::{Limits, Shape, Statements};

use super::*;

/// A sample: its labels as written, and its value.
type Samples = BTreeMap<String, f64>;

/// Reads a page, or says what is wrong with it.
fn parse(page: &str) -> Result<Samples, String> {
    let body = page
        .strip_suffix("# EOF\n")
        .ok_or("the end mark is missing")?;
    let mut samples = Samples::new();
    let mut families = BTreeSet::new();
    let mut family: Option<(&str, &str)> = None;
    let mut helped = None;
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split_once(' ').map(|(name, _)| name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or(format!("no type: {line}"))?;
            if helped != Some(name) || !families.insert(name) {
                return Err(format!("without help, or a second time: {line}"));
            }
            family = Some((name, kind));
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let named = family.is_some_and(|(name, _)| {
                rest.split_once(' ')
                    .is_some_and(|(of, unit)| of == name && name.ends_with(&format!("_{unit}")))
            });
            if !named {
                return Err(format!("a unit that the name lacks: {line}"));
            }
        } else {
            let (name, kind) = family.ok_or(format!("a sample before any family: {line}"))?;
            let (key, value) = sample(line, name, kind)?;
            if samples.insert(key, value).is_some() {
                return Err(format!("twice: {line}"));
            }
        }
    }
    check_histograms(&samples)?;
    Ok(samples)
}

fn sample(line: &str, family: &str, kind: &str) -> Result<(String, f64), String> {
    let (key, value) = line.rsplit_once(' ').ok_or(format!("no value: {line}"))?;
    let value: f64 = value.parse().map_err(|_| format!("not a number: {line}"))?;
    let name_end = key.find('{').unwrap_or(key.len());
    let (name, labels) = key.split_at(name_end);
    let suffixes: &[&str] = match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "histogram" => &["_sum", "_count", "_bucket"],
        other => return Err(format!("an unexpected type {other}: {line}")),
    };
    if !suffixes
        .iter()
        .any(|suffix| name.strip_prefix(family) == Some(suffix))
    {
        return Err(format!("not of the family {family} ({kind}): {line}"));
    }
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        return Err(format!("not a name: {line}"));
    }
    check_labels(labels).map_err(|reason| format!("{reason}: {line}"))?;
    Ok((key.to_owned(), value))
}

/// `{name="value",…}` with `\\`, `\"` and `\n` escaped.
fn check_labels(labels: &str) -> Result<(), &'static str> {
    if labels.is_empty() {
        return Ok(());
    }
    let mut rest = labels
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or("no braces")?;
    let mut seen = BTreeSet::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("no label")?;
        if !seen.insert(name) || name.is_empty() {
            return Err("a label twice, or without a name");
        }
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().ok_or("an open value")? {
                (_, '\\') => match characters.next() {
                    Some((_, '\\' | '"' | 'n')) => {}
                    _ => return Err("a wrong escape"),
                },
                (at, '"') => break at,
                _ => {}
            }
        };
        rest = &after[end + 1..];
        if rest.is_empty() {
            return Ok(());
        }
        rest = rest.strip_prefix(',').ok_or("no comma")?;
    }
}

/// Buckets only grow, and the last one is the count.
fn check_histograms(samples: &Samples) -> Result<(), String> {
    let counts = samples.iter().filter(|(key, _)| {
        let name = key.split('{').next().unwrap_or_default();
        name.ends_with("_count")
    });
    for (key, count) in counts {
        let (name, labels) = key.split_at(key.find('{').unwrap_or(key.len()));
        let labels = labels.trim_matches(['{', '}']);
        let bucket = format!("{}_bucket{{le=\"", name.trim_end_matches("_count"));
        let mut buckets: Vec<(f64, f64)> = samples
            .iter()
            .filter_map(|(key, value)| {
                let (bound, others) = key.strip_prefix(&bucket)?.split_once('"')?;
                let others = others.trim_start_matches(',').trim_end_matches('}');
                (others == labels).then(|| (bound.parse().unwrap_or(f64::INFINITY), *value))
            })
            .collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        if !buckets.is_sorted_by(|one, other| one.1 <= other.1) {
            return Err(format!("buckets that shrink: {key}"));
        }
        if buckets.last() != Some(&(f64::INFINITY, *count)) {
            return Err(format!(
                "the last bucket is not the count: {key} {buckets:?}"
            ));
        }
    }
    Ok(())
}

/// Writes what the journal knows, as the real page does.
#[derive(Debug)]
struct OfJournal(Arc<Journal>);

impl Collector for OfJournal {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet::new(encoder);
        journal::routes(&mut sheet, &self.0.routes())?;
        journal::shapes(&mut sheet, &self.0.shapes())?;
        journal::totals(&mut sheet, &self.0.totals())
    }
}

/// A request that lasts 30 ms and runs these statements, text and summary, for 2 ms each.
fn request(
    journal: &Arc<Journal>,
    statements: &Statements,
    path: &str,
    executed: &[(&str, &str)],
    status: u16,
) {
    let start = Instant::now();
    let at = |millis: u64| start + Duration::from_millis(millis);
    let load = journal.open_load(LoadStart {
        method: "GET",
        path,
        caller: None,
        now: start,
    });
    for (text, summary) in executed {
        let learnt = statements.learn(text).shape;
        let shape = Arc::new(Shape {
            summary: (*summary).into(),
            ..(*learnt).clone()
        });
        let execution = journal.begin(StatementStart {
            connection: ConnectionId(1),
            shape: &shape,
            trace: None,
            parameters: 1,
            values: paceline_sql::Values::default(),
            queued: Duration::ZERO,
            now: at(1),
        });
        execution.finish(
            StatementEnd {
                rows: 3,
                sqlstate: None,
            },
            at(3),
        );
    }
    let outcome = Outcome {
        status: Some(status),
        error: None,
        response_bytes: 7,
        ..Outcome::default()
    };
    load.finish(outcome, at(30));
}

#[test]
fn the_page_says_what_happened() {
    let journal = Journal::new(Config::default());
    let statements = Statements::new(Limits::default());
    for _ in 0..4 {
        request(
            &journal,
            &statements,
            "/jobs/7",
            &[
                ("SELECT a FROM jobs", "SELECT jobs"),
                ("SELECT b, c FROM jobs", "SELECT jobs"),
            ],
            200,
        );
    }
    request(
        &journal,
        &statements,
        "/jobs/8",
        &[("SELECT 1", "SELECT \"odd\\name\n")],
        503,
    );
    let page = page(OfJournal(journal)).expect("a page");
    let samples = parse(&page).unwrap_or_else(|reason| panic!("{reason}\n{page}"));
    let of = |key: &str| {
        *samples
            .get(key)
            .unwrap_or_else(|| panic!("{key} is not in\n{page}"))
    };
    let route = "http_request_method=\"GET\",http_route=\"/jobs/{id}\"";
    assert_eq!(
        of(&format!(
            "http_server_request_duration_seconds_count{{{route}}}"
        )),
        5.0
    );
    assert_eq!(
        of(&format!(
            "http_server_request_duration_seconds_bucket{{le=\"0.025\",{route}}}"
        )),
        0.0
    );
    assert_eq!(
        of(&format!(
            "http_server_request_duration_seconds_bucket{{le=\"0.05\",{route}}}"
        )),
        5.0
    );
    assert!(
        (of(&format!(
            "http_server_request_duration_seconds_sum{{{route}}}"
        )) - 0.15)
            .abs()
            < 1e-9
    );
    assert_eq!(
        of(&format!(
            "paceline_http_responses_total{{{route},http_response_status_class=\"2xx\"}}"
        )),
        4.0
    );
    assert_eq!(
        of(&format!(
            "paceline_http_responses_total{{{route},http_response_status_class=\"5xx\"}}"
        )),
        1.0
    );
    assert_eq!(
        of(&format!(
            "paceline_http_response_body_bytes_total{{{route}}}"
        )),
        35.0
    );
    assert_eq!(
        of(&format!(
            "paceline_route_statements_total{{{route},attribution=\"exact\"}}"
        )),
        9.0
    );
    // Two shapes share a summary, and are one series.
    let summary = "db_system_name=\"postgresql\",db_query_summary=\"SELECT jobs\"";
    assert_eq!(
        of(&format!(
            "db_client_operation_duration_seconds_count{{{summary}}}"
        )),
        8.0
    );
    assert_eq!(
        of(&format!("paceline_statement_rows_total{{{summary}}}")),
        24.0
    );
    assert_eq!(
        of("paceline_statements_attributed_total{attribution=\"exclusive\"}"),
        9.0
    );
    assert_eq!(of("paceline_requests_open"), 0.0);
    // The classic format has the same samples.
    let classic = classic::from_openmetrics(&page);
    let lines = |page: &str| {
        page.lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&classic), lines(&page));
}

#[test]
fn an_empty_journal_has_a_right_page_too() {
    let page = page(OfJournal(Journal::new(Config::default()))).expect("a page");
    let samples = parse(&page).unwrap_or_else(|reason| panic!("{reason}\n{page}"));
    assert!(samples.contains_key("paceline_journal_dropped_total{reason=\"routes\"}"));
    assert!(
        !page.contains("http_server_request_duration"),
        "a family without series is left out"
    );
}

#[test]
fn the_parser_refuses_bad_pages() {
    let counter = "# HELP a A.\n# TYPE a counter\n";
    let histogram = "# HELP h H.\n# TYPE h histogram\nh_sum 1\nh_count 2\n";
    let rows = [
        ("", "end mark"),
        ("a 1\n# EOF\n", "before any family"),
        ("# TYPE a counter\na_total 1\n# EOF\n", "without help"),
        (&format!("{counter}a 1\n# EOF\n"), "not of the family"),
        (&format!("{counter}a_total x\n# EOF\n"), "not a number"),
        (&format!("{counter}a_total 1\na_total 1\n# EOF\n"), "twice"),
        (&format!("{counter}{counter}# EOF\n"), "a second time"),
        (
            &format!("{counter}a_total{{x=\"\"y\"}} 1\n# EOF\n"),
            "no comma",
        ),
        (
            &format!("{counter}a_total{{x=\"\\y\"}} 1\n# EOF\n"),
            "wrong escape",
        ),
        (
            &format!("{counter}a_total{{x=\"1\",x=\"2\"}} 1\n# EOF\n"),
            "a label twice",
        ),
        (
            &format!("{counter}# UNIT a seconds\na_total 1\n# EOF\n"),
            "a unit that the name lacks",
        ),
        (
            &format!("{histogram}h_bucket{{le=\"1.0\"}} 1\n# EOF\n"),
            "not the count",
        ),
        (
            &format!("{histogram}h_bucket{{le=\"1.0\"}} 3\nh_bucket{{le=\"+Inf\"}} 2\n# EOF\n"),
            "buckets that shrink",
        ),
    ];
    for (page, expected) in rows {
        let reason = parse(page).expect_err(page);
        assert!(reason.contains(expected), "{page}\n{reason}");
    }
    let good = format!("{histogram}h_bucket{{le=\"1.0\"}} 1\nh_bucket{{le=\"+Inf\"}} 2\n# EOF\n");
    assert_eq!(parse(&good).map(|samples| samples.len()), Ok(4));
}
