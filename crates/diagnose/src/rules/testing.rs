//! Hand-made databases, and what a rule must say of them.

use paceline_catalogue::{
    Column, Constraint, ConstraintKind, Database, ForeignKey, Index, IndexKey, Relation, Server,
    Session, SessionState, Setting, Snapshot, TableStatistics,
};

use crate::finding::Finding;
use crate::report::Report;
use crate::rule::{Material, Rule};

/// A quiet database that has run for a month.
pub(crate) fn snapshot() -> Snapshot {
    let setting = |name: &str, value: &str, unit: &str| {
        let (value, unit) = (value.to_owned(), unit.to_owned());
        (name.to_owned(), Setting { value, unit })
    };
    Snapshot {
        server: Server {
            version_number: 160_000,
            version: "16.0".to_owned(),
            up_s: 2_592_000.0,
            block_bytes: 8_192,
            sessions: Some(5),
            ..Server::default()
        },
        database: Database {
            name: "app".to_owned(),
            bytes: 1 << 30,
            statistics_age_s: 2_592_000.0,
            ..Database::default()
        },
        settings: [
            setting("max_connections", "100", ""),
            setting("superuser_reserved_connections", "3", ""),
            setting("work_mem", "4096", "kB"),
            setting("shared_buffers", "16384", "8kB"),
            setting("autovacuum", "on", ""),
        ]
        .into(),
        ..Snapshot::default()
    }
}

/// A table of so many rows that is in use and in order, with the columns `id` and `owner_id`.
pub(crate) fn table(oid: u32, name: &str, rows: u64) -> Relation {
    let column = |number: i16, name: &str, type_name: &str| Column {
        number,
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        is_not_null: true,
        average_width_bytes: Some(8),
        null_fraction: Some(0.0),
        distinct: Some(-1.0),
        ..Column::default()
    };
    Relation {
        oid,
        schema: "public".to_owned(),
        name: name.to_owned(),
        estimated_rows: Some(rows as f64),
        heap_bytes: (rows * 44).next_multiple_of(8_192),
        fillfactor: 100,
        columns: vec![column(1, "id", "bigint"), column(2, "owner_id", "bigint")],
        statistics: Some(TableStatistics {
            index_scans: 10_000,
            inserted: rows,
            live_rows: rows,
            vacuumed_s_ago: Some(3_600.0),
            analysed_s_ago: Some(3_600.0),
            ..TableStatistics::default()
        }),
        ..Relation::default()
    }
}

/// A B-tree over these columns that queries use.
pub(crate) fn index(oid: u32, relation: u32, name: &str, columns: &[i16]) -> Index {
    let keys = columns.iter().map(|number| IndexKey {
        column: Some(*number),
        text: format!("column_{number}"),
        operator_class: 3_124,
        ..IndexKey::default()
    });
    Index {
        oid,
        relation,
        schema: "public".to_owned(),
        name: name.to_owned(),
        method: "btree".to_owned(),
        keys: keys.collect(),
        definition: format!("CREATE INDEX {name}"),
        is_valid: true,
        bytes: 10 << 20,
        fillfactor: 90,
        scans: 1_000,
        ..Index::default()
    }
}

/// A foreign key from one column to the first of another table.
pub(crate) fn foreign_key(relation: u32, column: i16, to: u32) -> Constraint {
    Constraint {
        name: "fk".to_owned(),
        relation,
        kind: ConstraintKind::Foreign,
        columns: vec![column],
        foreign: Some(ForeignKey {
            relation: to,
            columns: vec![1],
            deletes_on: false,
        }),
        is_validated: true,
    }
}

/// A session in this state for so long, with a transaction as old.
pub(crate) fn session(pid: i32, state: SessionState, age_s: f64) -> Session {
    Session {
        pid,
        user: "app".to_owned(),
        application: "worker".to_owned(),
        state,
        state_age_s: age_s,
        transaction_age_s: Some(age_s),
        statement_age_s: Some(age_s),
        holds_snapshot: true,
        statement: "SELECT 1".to_owned(),
    }
}

/// The statistics of a table.
pub(crate) fn counted(relation: &mut Relation) -> &mut TableStatistics {
    relation.statistics.get_or_insert_default()
}

/// What the rule finds.
pub(crate) fn look(rule: &Rule, snapshot: &Snapshot) -> Vec<Finding> {
    let material = Material {
        database: Some(snapshot),
        ..Material::default()
    };
    let findings = Report::of(&material).findings.into_iter();
    findings.filter(|one| one.rule == rule.name).collect()
}

/// The rule must find these subjects, and no others.
#[track_caller]
pub(crate) fn check(rule: &Rule, what: &str, snapshot: &Snapshot, expected: &[&str]) {
    let findings = look(rule, snapshot);
    let mut found: Vec<_> = findings
        .iter()
        .map(|one| one.subject.name.as_str())
        .collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{}: {what}", rule.name);
    for finding in findings {
        let Finding { title, remedy, .. } = &finding;
        assert!(title.ends_with('.') && !title.contains('\n'), "{title}");
        assert!(
            remedy.text.ends_with('.') || remedy.text.ends_with(':'),
            "{}",
            remedy.text
        );
        assert!(finding.evidence.iter().count() > 0, "{title}");
    }
}
