//! Traffic and a catalogue by hand, for the tests of these rules.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_catalogue::{Index, Relation, Snapshot};
use paceline_journal::{
    Config, ConnectionId, Journal, LoadStart, Outcome, StatementEnd, StatementStart,
};
use paceline_sql::{Limits, Statements, Values};

use crate::finding::Finding;
use crate::report::Report;
use crate::rule::{Material, Rule};
use crate::rules::testing;

/// An instance that looks at its database.
pub(super) struct Scene {
    pub(super) snapshot: Snapshot,
    /// What each statement returns.
    pub(super) rows: u64,
    /// What each answer has.
    pub(super) answer_bytes: u64,
    journal: Arc<Journal>,
    statements: Statements,
    now: Instant,
}

impl Scene {
    pub(super) fn new(tables: Vec<Relation>) -> Self {
        let mut snapshot = testing::snapshot();
        for (index, mut table) in tables.into_iter().enumerate() {
            table.oid = oid(index);
            snapshot.relations.push(table);
        }
        let config = Config::default();
        let now = config.anchor.instant;
        Self {
            snapshot,
            rows: 1,
            answer_bytes: 100,
            journal: Journal::new(config),
            statements: Statements::new(Limits::default()),
            now,
        }
    }

    /// A GET request that executes one statement, with these values, and does nothing else.
    pub(super) fn run(
        &mut self,
        path: &str,
        text: &str,
        ms: u64,
        leading: u8,
        offset: Option<u64>,
    ) {
        let load = self.journal.open_load(LoadStart {
            method: "GET",
            path,
            caller: None,
            now: self.now,
        });
        let execution = self.journal.begin(StatementStart {
            connection: ConnectionId(1),
            shape: &self.statements.learn(text).shape,
            trace: Some(load.traceparent()),
            parameters: 0,
            values: Values { offset, leading },
            queued: Duration::ZERO,
            now: self.now,
        });
        self.now += Duration::from_millis(ms);
        let end = StatementEnd {
            rows: self.rows,
            sqlstate: None,
        };
        execution.finish(end, self.now);
        let outcome = Outcome {
            status: Some(200),
            response_bytes: self.answer_bytes,
            ..Outcome::default()
        };
        load.finish(outcome, self.now);
    }

    /// What a rule finds.
    pub(super) fn look(&self, rule: &Rule) -> Vec<Finding> {
        self.findings(rule, Some(&self.snapshot))
    }

    /// What it finds when nobody asks the database.
    pub(super) fn look_at_traffic(&self, rule: &Rule) -> Vec<Finding> {
        self.findings(rule, None)
    }

    fn findings(&self, rule: &Rule, database: Option<&Snapshot>) -> Vec<Finding> {
        let traffic = Material {
            journal: Some(&self.journal),
            ..Material::default()
        };
        let material = Material {
            database,
            ..traffic
        };
        let findings = Report::of(&material).findings.into_iter();
        findings.filter(|one| one.rule == rule.name).collect()
    }
}

fn oid(index: usize) -> u32 {
    100 + u32::try_from(index).expect("a few tables")
}

/// A table of so many rows with these columns, all of them text but the first.
pub(super) fn table_of(name: &str, rows: u64, columns: &[&str]) -> Relation {
    let mut table = testing::table(0, name, rows);
    let first = table.columns[0].clone();
    let columns = columns.iter().zip(1..).map(|(name, number)| {
        let type_name = if number == 1 { "bigint" } else { "text" };
        paceline_catalogue::Column {
            number,
            name: (*name).to_owned(),
            type_name: type_name.to_owned(),
            ..first.clone()
        }
    });
    table.columns = columns.collect();
    table
}

/// An ordinary index on a column of a table.
pub(super) fn index_on(snapshot: &Snapshot, table: &str, column: &str) -> Index {
    let mut tables = snapshot.relations.iter();
    let table = tables.find(|one| one.name == table).expect("a table");
    let column = table.columns.iter().find(|one| one.name == column);
    let column = column.expect("a column");
    let name = format!("{}_{}_idx", table.name, column.name);
    testing::index(table.oid + 1_000, table.oid, &name, &[column.number])
}

/// The rule must find these subjects, and no others.
#[track_caller]
pub(super) fn check(rule: &Rule, what: &str, scene: &Scene, expected: &[&str]) {
    let findings = scene.look(rule);
    let found: Vec<_> = findings.iter().map(|one| &*one.subject.name).collect();
    assert_eq!(found, expected, "{}: {what}", rule.name);
    for Finding { title, remedy, .. } in &findings {
        assert!(title.ends_with('.') && !title.contains('\n'), "{title}");
        let text = &remedy.text;
        assert!(text.ends_with('.') || text.ends_with(':'), "{text}");
    }
}
