//! Scripted histories, played through a journal, and what the rules must say about them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::{
    Config, ConnectionId, Execution, Journal, Load, LoadStart, Outcome, StatementEnd,
    StatementStart,
};
use paceline_sql::{Limits, Shape, Statements};

use super::repetition::RepetitionEvidence;
use crate::finding::{Effort, Finding, Severity};
use crate::report::Report;
use crate::rule::Material;

const LIST: &str = "SELECT jobs.id FROM jobs LIMIT $1";
const COMPANY: &str = "SELECT companies.name FROM companies WHERE companies.id = $1";
const SKILLS: &str = "SELECT skills.name FROM skills WHERE skills.job_id = $1";
const TOUCH: &str = "UPDATE companies SET seen = $1 WHERE companies.id = $2";
const INSERT: &str = "INSERT INTO job_skills (job_id, skill_id) VALUES ($1, $2)";
const INSERT_ALL: &str = "INSERT INTO job_skills (job_id, skill_id) VALUES ($1, $2), ($3, $4)";
const UPSERT: &str =
    "INSERT INTO seen (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = $3";
const CHANGING: &str =
    "WITH gone AS (DELETE FROM skills WHERE id = $1 RETURNING id) SELECT id FROM gone";
const BEGIN: &str = "BEGIN";
const FORGET: &str = "DELETE FROM skills WHERE skills.id = $1";
const COMMIT: &str = "COMMIT";
const PING: &str = "SELECT $1";
const TYPES: &str = "SELECT typname FROM pg_catalog.pg_type WHERE oid = $1";
const RANDOM: &str = "SELECT random() FROM companies WHERE companies.id = $1";
const LOCKING: &str = "SELECT companies.id FROM companies WHERE companies.id = $1 FOR UPDATE";

/// Requests, statements and time.
struct Scene {
    journal: Arc<Journal>,
    statements: Statements,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let config = Config::default();
        let now = config.anchor.instant;
        let statements = Statements::new(Limits::default());
        Self {
            journal: Journal::new(config),
            statements,
            now,
        }
    }

    fn open(&self, path: &str) -> Load {
        self.journal.open_load(LoadStart {
            method: "GET",
            path,
            caller: None,
            now: self.now,
        })
    }

    fn begin(&self, load: Option<&Load>, text: &str, parameters: u64) -> Execution {
        self.journal.begin(StatementStart {
            connection: ConnectionId(1),
            shape: &self.shape(text),
            trace: load.map(Load::traceparent),
            parameters,
            values: paceline_sql::Values::default(),
            queued: Duration::ZERO,
            now: self.now,
        })
    }

    fn end(&mut self, execution: Execution) {
        self.now += Duration::from_millis(1);
        execution.finish(
            StatementEnd {
                rows: 3,
                sqlstate: None,
            },
            self.now,
        );
    }

    fn finish(&mut self, load: Load) {
        self.now += Duration::from_millis(1);
        load.finish(
            Outcome {
                status: Some(200),
                ..Outcome::default()
            },
            self.now,
        );
    }

    /// Some requests that each run these statements one after the other, a millisecond each.
    fn requests(&mut self, count: usize, path: &str, statements: &[(&str, u64)]) {
        for _ in 0..count {
            let load = self.open(path);
            for (text, parameters) in statements {
                let execution = self.begin(Some(&load), text, *parameters);
                self.end(execution);
            }
            self.finish(load);
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let material = Material {
            journal: Some(&self.journal),
            ..Material::default()
        };
        Report::of(&material).findings
    }

    /// Rule, route and shape of each finding.
    fn found(&self) -> BTreeSet<(String, String, String)> {
        let name = |finding: Finding| {
            let shape = evidence(&finding).shape;
            (finding.rule, finding.subject.name, shape)
        };
        self.findings().into_iter().map(name).collect()
    }

    fn shape(&self, text: &str) -> Arc<Shape> {
        self.statements.learn(text).shape
    }
}

fn evidence(finding: &Finding) -> RepetitionEvidence {
    serde_json::from_value(serde_json::to_value(&finding.evidence).unwrap()).unwrap()
}

fn times(
    text: &'static str,
    parameters: impl IntoIterator<Item = u64>,
) -> Vec<(&'static str, u64)> {
    parameters
        .into_iter()
        .map(|parameters| (text, parameters))
        .collect()
}

#[test]
fn each_history_yields_its_findings_and_no_others() {
    type Row = (
        &'static str,
        usize,
        Vec<(&'static str, u64)>,
        Option<(&'static str, &'static str)>,
    );
    let n_plus_one = |shape| Some(("n-plus-one", shape));
    let writes = |shape| Some(("n-plus-one-writes", shape));
    let redundant = |shape| Some(("redundant-queries", shape));
    let (company, loop_of_5) = ("SELECT companies", times(COMPANY, 0..5));
    let rows: Vec<Row> = vec![
        ("five", 3, loop_of_5.clone(), n_plus_one(company)),
        (
            "after a list",
            3,
            [times(LIST, [20]), loop_of_5.clone()].concat(),
            n_plus_one(company),
        ),
        (
            "more in two sets of values",
            3,
            times(COMPANY, [1, 2, 3, 4, 5, 1, 2]),
            n_plus_one(company),
        ),
        (
            "with gaps",
            3,
            (0..5)
                .flat_map(|row| [(COMPANY, row), (LIST, row % 2)])
                .collect(),
            n_plus_one(company),
        ),
        (
            "inserts in a loop",
            3,
            times(INSERT, 0..8),
            writes("INSERT job_skills"),
        ),
        (
            "updates in a loop",
            3,
            times(TOUCH, 0..8),
            writes("UPDATE companies"),
        ),
        (
            "deletes in a loop",
            3,
            times(FORGET, 0..5),
            writes("DELETE skills"),
        ),
        (
            "upserts in a loop",
            3,
            times(UPSERT, 0..5),
            writes("INSERT seen"),
        ),
        (
            "rows changed by a SELECT",
            3,
            times(CHANGING, 0..5),
            writes("SELECT skills"),
        ),
        (
            "the same again",
            3,
            times(COMPANY, [7; 5]),
            redundant(company),
        ),
        (
            "the same again, in between others",
            3,
            (0..5)
                .flat_map(|row| [(COMPANY, 7), (LIST, row % 2)])
                .collect(),
            redundant(company),
        ),
        // Near misses.
        ("two requests only", 2, loop_of_5.clone(), None),
        (
            "the same, two requests only",
            2,
            times(COMPANY, [7; 9]),
            None,
        ),
        ("four executions", 9, times(COMPANY, 0..4), None),
        (
            "five executions, two sets",
            9,
            times(COMPANY, [1, 2, 1, 2, 1]),
            None,
        ),
        (
            "five executions, four sets",
            9,
            times(COMPANY, [1, 2, 3, 4, 4]),
            None,
        ),
        (
            "different shapes",
            9,
            vec![
                (COMPANY, 1),
                (SKILLS, 2),
                (LIST, 3),
                (COMPANY, 4),
                (SKILLS, 5),
                (LIST, 6),
            ],
            None,
        ),
        ("four of the same", 9, times(COMPANY, [7; 4]), None),
        (
            "read again after a write",
            9,
            (0..9)
                .flat_map(|_| [(COMPANY, 7), (TOUCH, 1)])
                .take(8)
                .collect(),
            None,
        ),
        ("transaction control", 9, times(COMMIT, [0; 9]), None),
        ("tests of the connection", 9, times(PING, [1; 9]), None),
        ("types looked up by the driver", 9, times(TYPES, 0..9), None),
        ("never the same answer", 9, times(RANDOM, [7; 9]), None),
        ("rows locked, not read", 9, times(LOCKING, [7; 9]), None),
        ("the same write again", 9, times(TOUCH, [7; 9]), None),
        ("four inserts", 9, times(INSERT, 0..4), None),
        ("inserts in two requests only", 2, times(INSERT, 0..9), None),
        ("one insert of many rows", 9, times(INSERT_ALL, [1]), None),
        (
            "inserts of few, again and again",
            9,
            times(INSERT, [1, 2, 3, 4, 1, 2, 3, 4]),
            None,
        ),
    ];
    for (what, requests, statements, expected) in rows {
        let mut scene = Scene::new();
        scene.requests(requests, "/jobs?page=2", &statements);
        let expected = expected
            .map(|(rule, shape)| (rule.to_owned(), "GET /jobs".to_owned(), shape.to_owned()));
        assert_eq!(scene.found(), expected.into_iter().collect(), "{what}");
    }
}

#[test]
fn executions_side_by_side_hide_nothing() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        let load = scene.open("/jobs");
        let all: Vec<_> = (0..6)
            .map(|row| scene.begin(Some(&load), COMPANY, row))
            .collect();
        all.into_iter().for_each(|execution| scene.end(execution));
        scene.finish(load);
    }
    assert_eq!(scene.found().len(), 1);
    let evidence = evidence(&scene.findings()[0]);
    assert!(
        evidence.time_share <= 1.0,
        "twenty-one milliseconds within seven"
    );
}

#[test]
fn untagged_loops_are_found_when_requests_come_one_by_one() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        let load = scene.open("/jobs");
        for row in 0..5 {
            let execution = scene.begin(None, COMPANY, row);
            scene.end(execution);
        }
        scene.finish(load);
    }
    assert_eq!(scene.found().len(), 1);
}

#[test]
fn background_work_and_overlapping_requests_are_not_a_loop() {
    let mut scene = Scene::new();
    for row in 0..50 {
        let execution = scene.begin(None, COMPANY, row);
        scene.end(execution);
    }
    for _ in 0..9 {
        let loads: Vec<_> = (0..6)
            .map(|job| scene.open(&format!("/jobs/{job}")))
            .collect();
        for row in 0..6 {
            let execution = scene.begin(None, COMPANY, row);
            scene.end(execution);
        }
        loads.into_iter().for_each(|load| scene.finish(load));
    }
    assert!(scene.found().is_empty());
}

#[test]
fn the_single_job_route_is_not_blamed_for_the_list() {
    let mut scene = Scene::new();
    for job in 0..30 {
        let path = format!("/jobs/{job}");
        scene.requests(1, &path, &[(LIST, 1), (COMPANY, job), (SKILLS, job)]);
    }
    scene.requests(
        3,
        "/jobs",
        &[times(LIST, [20]), times(COMPANY, 0..20)].concat(),
    );
    let found = scene.found();
    assert_eq!(
        found
            .iter()
            .map(|(_, route, _)| route.as_str())
            .collect::<Vec<_>>(),
        ["GET /jobs"]
    );
}

#[test]
fn a_finding_names_all_that_one_needs() {
    let mut scene = Scene::new();
    for rows in [5, 10, 15] {
        scene.requests(
            1,
            "/jobs",
            &[times(LIST, [20]), times(COMPANY, 0..rows)].concat(),
        );
    }
    scene.requests(1, "/jobs", &[(LIST, 20)]);
    let findings = scene.findings();
    let [finding] = &findings[..] else {
        panic!("one finding, not {findings:?}")
    };
    assert_eq!(finding.rule, "n-plus-one");
    assert_eq!(finding.severity, Severity::High);
    assert_eq!(
        finding.title,
        "GET /jobs executes `SELECT companies` 10 times per request (up to 15), each time with \
         other values, after `SELECT jobs`."
    );
    assert!(
        (finding.time_lost_ms - 27.0).abs() < 1e-6,
        "{}",
        finding.time_lost_ms
    );
    let evidence = evidence(finding);
    let example = evidence.example_request.as_ref().unwrap().parse().unwrap();
    assert_eq!(
        scene.journal.request(&example).unwrap().summary.statements,
        16
    );
    // 27 of 38 ms: 4 lists, 30 companies, and a millisecond of its own for each request.
    assert!(
        (evidence.time_share - 27.0 / 38.0).abs() < 1e-6,
        "{}",
        evidence.time_share
    );
    let before = evidence.before.as_ref().unwrap();
    assert_eq!(
        (before.statement.as_str(), before.requests, before.rows),
        (LIST, 3, 3.0)
    );
    let expected = RepetitionEvidence {
        shape: "SELECT companies".to_owned(),
        statement: COMPANY.to_owned(),
        requests: 3,
        route_requests: 4,
        executions_per_request: 10.0,
        executions_max: 15,
        distinct_parameters_max: 15,
        time_per_request_ms: 10.0,
        time_lost_per_request_ms: 9.0,
        exact_share: 1.0,
        ..evidence.clone()
    };
    assert_eq!(evidence, expected);
}

#[test]
fn the_remedy_is_the_statement_to_write_instead() {
    let rows = [
        (COMPANY, Effort::Small, "companies.id = ANY($1)"),
        (INSERT, Effort::Small, "VALUES ($1, $2), ($3, $4)"),
        (
            TOUCH,
            Effort::Small,
            "FROM jsonb_populate_recordset(NULL::companies, $1) v",
        ),
        (UPSERT, Effort::Medium, "SELECT … FROM unnest($1, $2)"),
        (
            FORGET,
            Effort::Small,
            "DELETE FROM skills WHERE skills.id = ANY($1)",
        ),
    ];
    for (text, effort, remedy) in rows {
        let mut scene = Scene::new();
        scene.requests(3, "/jobs", &times(text, 0..6));
        let findings = scene.findings();
        assert_eq!(findings[0].effort, effort, "{text}");
        let told = &findings[0].remedy;
        let whole = format!(
            "{} {}",
            told.text,
            told.statement.as_deref().unwrap_or_default()
        );
        assert!(whole.contains(remedy), "{text}: {whole}");
        let evidence = evidence(&findings[0]);
        assert_eq!(evidence.batched_statement, told.statement, "{text}");
        assert_eq!(told.statement.is_some(), effort == Effort::Small, "{text}");
    }
}

#[test]
fn the_costliest_comes_first_and_ids_are_stable() {
    let play = || {
        let mut scene = Scene::new();
        scene.requests(3, "/skills", &times(SKILLS, 0..5));
        scene.requests(3, "/jobs", &times(COMPANY, 0..50));
        scene.findings()
    };
    let findings = play();
    let routes: Vec<_> = findings
        .iter()
        .map(|finding| finding.subject.name.as_str())
        .collect();
    assert_eq!(routes, ["GET /jobs", "GET /skills"]);
    let ids = |findings: &[Finding]| findings.iter().map(|f| f.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&findings), ids(&play()));
    assert!(
        findings[0]
            .id
            .starts_with("n-plus-one.get-jobs.select-companies.")
    );
    assert_ne!(findings[0].id, findings[1].id);
}

#[test]
fn writes_say_how_they_are_committed() {
    let rows = [
        (vec![], "none: each execution commits", true),
        (vec![(BEGIN, 0)], "in one transaction", false),
        (
            vec![(BEGIN, 0), (LIST, 1), (COMMIT, 0)],
            "none: each execution commits",
            true,
        ),
    ];
    for (before, text, each) in rows {
        let mut scene = Scene::new();
        scene.requests(3, "/jobs", &[before, times(UPSERT, 0..6)].concat());
        let findings = scene.findings();
        let told = findings[0]
            .details
            .iter()
            .find(|one| one.label == "Transaction");
        assert!(
            told.is_some_and(|one| one.text.starts_with(text)),
            "{told:?}"
        );
        assert_eq!(findings[0].evidence.get("commits_each"), Some(&each.into()));
        let at_least = findings[0].remedy.text.contains("into one transaction");
        assert_eq!(at_least, each, "{}", findings[0].remedy.text);
    }
}

#[test]
fn what_ran_before_the_loop_is_told_with_its_rows() {
    let mut scene = Scene::new();
    let all = [
        times(SKILLS, [1]),
        times(LIST, [1, 2]),
        times(COMPANY, 0..6),
        times(SKILLS, [2]),
    ];
    scene.requests(3, "/jobs", &all.concat());
    let evidence = evidence(&scene.findings()[0]);
    let earlier: Vec<_> = evidence
        .earlier
        .iter()
        .map(|one| (&*one.statement, one.rows))
        .collect();
    assert_eq!(earlier, [(LIST, 6), (SKILLS, 3)]);
}

#[test]
fn the_library_that_wrote_the_loop_is_told_how_to_do_without() {
    let rows = [
        (
            "SELECT brands.id AS brands_id, brands.name AS brands_name FROM brands WHERE brands.id = $1",
            Some("written by SQLAlchemy: `select(Parent).options(joinedload(Parent.child))`"),
            Some("SQLAlchemy"),
        ),
        (
            "SELECT stock.n AS stock_n FROM stock WHERE stock.product_id = $1",
            Some("written by SQLAlchemy: `select(Parent).options(selectinload(Parent.children))`"),
            Some("SQLAlchemy"),
        ),
        (
            "SELECT \"app_job\".\"id\" FROM \"app_job\" WHERE \"app_job\".\"id\" = $1",
            Some(
                "perhaps written by Django: `Parent.objects.select_related(\"child\")`; or by SeaORM: ",
            ),
            None,
        ),
        (
            "INSERT INTO items (cart_id, n) VALUES ($1::uuid, $2::integer)",
            Some("written by SQLAlchemy: `session.add_all(children)`"),
            Some("SQLAlchemy"),
        ),
        (COMPANY, None, None),
    ];
    for (text, advice, name) in rows {
        let mut scene = Scene::new();
        scene.requests(3, "/jobs", &times(text, 0..6));
        let findings = scene.findings();
        let told = findings[0].details.iter().find(|one| one.label == "ORM");
        let told = told.map(|one| &*one.text);
        assert_eq!(told.is_some(), advice.is_some(), "{text}: {told:?}");
        assert!(
            told.unwrap_or_default()
                .starts_with(advice.unwrap_or_default()),
            "{told:?}"
        );
        assert_eq!(findings[0].evidence.text("orm"), name, "{text}");
    }
}
