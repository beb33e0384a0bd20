//! Where the values of a loop come from, by the foreign keys of the database.
//!
//! Values are never kept. What is held together instead: by which column the loop looks rows up, which columns the statements
//! before it returned, and whether both refer to the same key. When one of these statements returned at least as
//! many rows as the loop took turns, its column is where the values come from.

use paceline_catalogue::{Constraint, ConstraintKind, Relation, Snapshot};
use paceline_sql::{Output, batch_form_typed, join_form, lookups, outputs};

use crate::finding::Finding;
use crate::render::units::{count, cut};
use crate::rules::{EarlierStatement, N_PLUS_ONE, N_PLUS_ONE_WRITES};

/// Foreign keys that lead on from each other.
const STEPS_MAX: usize = 8;

/// A column: OID of its table, and its number.
type Column = (u32, i16);

/// Adds to a finding on a loop what the database knows of it.
pub(crate) fn explain(finding: &mut Finding, snapshot: &Snapshot) {
    match finding.rule.as_str() {
        N_PLUS_ONE => name_origin(finding, snapshot),
        N_PLUS_ONE_WRITES => type_arrays(finding, snapshot),
        _ => None,
    };
}

/// A statement before the loop whose rows have the values.
struct Origin {
    earlier: EarlierStatement,
    /// `companies.id`, by which the loop looks up.
    key: String,
    /// `jobs.company_id`, and its name in the result.
    source: String,
    name: String,
    parameter: usize,
}

fn name_origin(finding: &mut Finding, snapshot: &Snapshot) -> Option<()> {
    let evidence = &finding.evidence;
    // The instance may have looked at its database already.
    if evidence.get("values_from").is_some() {
        return None;
    }
    let earlier = evidence.get("earlier")?.clone();
    let earlier: Vec<EarlierStatement> = serde_json::from_value(earlier).ok()?;
    let repeated = evidence.text("statement")?.to_owned();
    let turns = evidence.number("executions_per_request")?;
    let origin = earlier
        .into_iter()
        .filter(|one| one.rows as f64 >= turns)
        .find_map(|one| origin(one, &repeated, snapshot))?;
    let Origin {
        earlier,
        key,
        source,
        name,
        parameter,
    } = origin;
    let join = join_form(&earlier.statement, &name, &repeated, parameter);
    let mut text = format!(
        "`{source}` in the {} rows of `{}`: the foreign keys make it the same as `{key}`",
        count(earlier.rows),
        earlier.shape
    );
    if let Some(join) = &join {
        text.push_str("; both in one: ");
        text.push_str(join);
    } else {
        text.push_str("; ");
        text.push_str(&cut(&earlier.statement));
    }
    let evidence = &mut finding.evidence;
    evidence.put("values_from", source);
    evidence.put("values_from_statement", earlier.statement);
    evidence.put("join_statement", join);
    finding
        .details
        .push(crate::evidence::Detail::new("Values", text));
    Some(())
}

fn origin(earlier: EarlierStatement, repeated: &str, snapshot: &Snapshot) -> Option<Origin> {
    let outputs = outputs(&earlier.statement);
    for lookup in lookups(repeated) {
        let Some(looked_up) = relation(snapshot, &lookup.relation) else {
            continue;
        };
        let Some(key) = column(looked_up, &lookup.column) else {
            continue;
        };
        let found = outputs.iter().find_map(|output| {
            let from = relation(snapshot, &output.relation)?;
            Some((from, source(from, output, key, snapshot)?))
        });
        if let Some((from, (column, name))) = found {
            return Some(Origin {
                earlier,
                key: format!("{}.{}", looked_up.name, lookup.column),
                source: format!("{}.{column}", from.name),
                name,
                parameter: lookup.parameter,
            });
        }
    }
    None
}

/// The column among those returned, with its name there, that refers to the same key. Of several the one that a foreign key ties
/// to it directly; `None` when that is not one either.
fn source(
    from: &Relation,
    output: &Output,
    key: Column,
    snapshot: &Snapshot,
) -> Option<(String, String)> {
    let root_of_key = root(snapshot, key)?;
    let all = from.columns.iter();
    let all = all.map(|column| (column.name.clone(), column.name.clone()));
    let mut names: Vec<_> = match &output.column {
        Some(names) => vec![names.clone()],
        None => all.collect(),
    };
    names.retain(|(name, _)| {
        column(from, name).is_some_and(|found| root(snapshot, found) == Some(root_of_key))
    });
    if names.len() > 1 {
        names.retain(|(name, _)| {
            column(from, name).is_some_and(|found| {
                let mut keys = snapshot.constraints.iter();
                keys.any(|one| {
                    leads_to(one, found) == Some(key) || leads_to(one, key) == Some(found)
                })
            })
        });
    }
    names.pop().filter(|_| names.is_empty())
}

/// The key that a column refers to in the end, or is itself.
fn root(snapshot: &Snapshot, column: Column) -> Option<Column> {
    let mut at = column;
    for _ in 0..STEPS_MAX {
        let mut keys = snapshot
            .constraints
            .iter()
            .filter_map(|one| leads_to(one, at));
        match keys.next() {
            // A tree refers to itself.
            Some(next) if next != at => at = next,
            _ => break,
        }
    }
    let is_key = snapshot.constraints.iter().any(|one| {
        matches!(one.kind, ConstraintKind::Primary | ConstraintKind::Unique)
            && one.relation == at.0
            && one.columns == [at.1]
    });
    is_key.then_some(at)
}

fn leads_to(constraint: &Constraint, column: Column) -> Option<Column> {
    let foreign = constraint.foreign.as_ref()?;
    let is_from = constraint.relation == column.0 && constraint.columns == [column.1];
    match foreign.columns[..] {
        [to] if is_from => Some((foreign.relation, to)),
        _ => None,
    }
}

/// The one relation that a text means by a name.
fn relation<'a>(snapshot: &'a Snapshot, named: &paceline_sql::Relation) -> Option<&'a Relation> {
    let mut found = snapshot.relations.iter().filter(|one| {
        *one.name == *named.name
            && named
                .schema
                .as_ref()
                .is_none_or(|schema| **schema == *one.schema)
    });
    let one = found.next()?;
    // Which of several is meant depends on the session's search_path.
    found.next().is_none().then_some(one)
}

fn column(relation: &Relation, name: &str) -> Option<Column> {
    let mut columns = relation.columns.iter();
    let column = columns.find(|column| column.name == name)?;
    Some((relation.oid, column.number))
}

/// With the types of the columns an UPDATE of many rows takes arrays.
fn type_arrays(finding: &mut Finding, snapshot: &Snapshot) -> Option<()> {
    let printed = finding.remedy.statement.as_deref();
    if printed.is_some_and(|text| !text.contains("jsonb_populate_recordset")) {
        return None;
    }
    let statement = finding.evidence.text("statement")?;
    let types = |named: &paceline_sql::Relation, column: &str| {
        let mut columns = relation(snapshot, named)?.columns.iter();
        let column = columns.find(|one| one.name == column)?;
        Some(column.type_name.clone())
    };
    let form = batch_form_typed(statement, &types)?;
    finding
        .evidence
        .put("batched_statement", form.text.as_str());
    finding.remedy.text =
        "Change all rows with one statement, joined to the values as arrays, each key once:"
            .to_owned();
    finding.remedy.statement = Some(form.text);
    finding.effort = crate::finding::Effort::Small;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Effort, Severity, Subject};
    use crate::report::Report;
    use crate::rules::testing::{foreign_key, snapshot, table};
    use serde_json::json;

    const COMPANIES: &str = "SELECT * FROM companies WHERE id = $1";
    const JOBS: &str = "SELECT * FROM jobs ORDER BY id LIMIT $1";

    /// Jobs belong to companies, notes to jobs, and companies to each other; `tags` to nobody.
    fn database() -> Snapshot {
        let mut database = snapshot();
        database.relations = [
            (1, "companies"),
            (2, "jobs"),
            (3, "notes"),
            (4, "tags"),
            (5, "pairs"),
        ]
        .map(|(oid, name)| table(oid, name, 100))
        .into();
        let primary = |relation| Constraint {
            relation,
            kind: ConstraintKind::Primary,
            columns: vec![1],
            ..Constraint::default()
        };
        database.constraints = vec![primary(1), primary(2), primary(3), primary(4)];
        // A pair refers to two notes.
        database.constraints.extend([
            foreign_key(1, 2, 1),
            foreign_key(2, 2, 1),
            foreign_key(3, 2, 2),
            foreign_key(5, 1, 3),
            foreign_key(5, 2, 3),
        ]);
        database
    }

    fn finding(rule: &str, statement: &str, earlier: &[(&str, u64)]) -> Finding {
        let earlier: Vec<_> = earlier
            .iter()
            .map(|(text, rows)| json!({"shape": "SELECT x", "statement": text, "rows": rows}))
            .collect();
        Finding::new(rule, Subject::route("GET /"), Severity::Low, "-")
            .fact("statement", statement)
            .fact("executions_per_request", 20.0)
            .fact("earlier", earlier)
    }

    #[test]
    fn values_come_from_the_column_that_refers_to_the_same_key() {
        let owners = "SELECT * FROM jobs WHERE owner_id = $1";
        type Row<'a> = (&'a str, &'a str, &'a [(&'a str, u64)], Option<&'a str>);
        let rows: &[Row<'_>] = &[
            (
                "the parent of each",
                COMPANIES,
                &[(JOBS, 20)],
                Some("jobs.owner_id"),
            ),
            (
                "the children of each",
                owners,
                &[("SELECT id FROM companies", 20)],
                Some("companies.id"),
            ),
            (
                "a tree",
                "SELECT * FROM companies WHERE owner_id = $1",
                &[("SELECT * FROM companies", 20)],
                Some("companies.id"),
            ),
            (
                "brothers",
                "SELECT * FROM companies WHERE owner_id = $1",
                &[(JOBS, 20)],
                Some("jobs.owner_id"),
            ),
            (
                "the same table",
                COMPANIES,
                &[("SELECT id AS c FROM companies", 30)],
                Some("companies.id"),
            ),
            (
                "not the last one",
                COMPANIES,
                &[("SELECT * FROM tags", 20), (JOBS, 20)],
                Some("jobs.owner_id"),
            ),
            // Near misses.
            ("too few rows", COMPANIES, &[(JOBS, 19)], None),
            (
                "the column is not returned",
                COMPANIES,
                &[("SELECT id FROM jobs", 20)],
                None,
            ),
            (
                "no key leads there",
                COMPANIES,
                &[("SELECT * FROM tags", 20)],
                None,
            ),
            (
                "a column of many tables",
                "SELECT 1 FROM companies, jobs WHERE id = $1",
                &[(JOBS, 20)],
                None,
            ),
            (
                "no key at all",
                "SELECT * FROM tags WHERE owner_id = $1",
                &[("SELECT owner_id FROM tags", 20)],
                None,
            ),
            (
                "not compared",
                "SELECT * FROM companies WHERE id > $1",
                &[(JOBS, 20)],
                None,
            ),
            (
                "either of two columns",
                "SELECT * FROM notes WHERE id = $1",
                &[("SELECT * FROM pairs", 20)],
                None,
            ),
            ("nothing before", COMPANIES, &[], None),
        ];
        for (what, statement, earlier, expected) in rows {
            let mut found = finding(N_PLUS_ONE, statement, earlier);
            explain(&mut found, &database());
            assert_eq!(found.evidence.text("values_from"), *expected, "{what}");
            let told = found.details.iter().any(|one| one.label == "Values");
            assert_eq!(told, expected.is_some(), "{what}");
            let join = found.evidence.text("join_statement");
            assert_eq!(join.is_some(), expected.is_some(), "{what}");
        }
        // Of two tables of one name nobody knows which is meant.
        let mut database = database();
        database.relations.push(Relation {
            schema: "other".to_owned(),
            ..table(9, "companies", 1)
        });
        let mut found = finding(N_PLUS_ONE, COMPANIES, &[(JOBS, 20)]);
        explain(&mut found, &database);
        assert_eq!(found.evidence.text("values_from"), None);
    }

    #[test]
    fn a_report_of_both_prints_the_join_and_types_the_arrays() {
        let update = "UPDATE jobs SET owner_id = $1 WHERE id = $2";
        let report = Report {
            findings: vec![
                finding(N_PLUS_ONE, COMPANIES, &[(JOBS, 20)]),
                finding(N_PLUS_ONE_WRITES, update, &[]).remedy(Effort::Medium, "-"),
                finding("errors", COMPANIES, &[(JOBS, 20)]),
            ],
            ..Report::default()
        };
        // Twice says nothing twice.
        let report = report.explained_by(&database()).explained_by(&database());
        let of = |rule: &str| {
            let found = report.findings.iter().find(|one| one.rule == rule);
            found.unwrap_or_else(|| panic!("{rule}"))
        };
        assert_eq!(
            of(N_PLUS_ONE).evidence.text("join_statement"),
            Some(
                "SELECT p.*, r.* FROM (SELECT * FROM jobs ORDER BY id LIMIT $1) p LEFT JOIN LATERAL \
                  (SELECT * FROM companies WHERE id = p.owner_id) r ON true ORDER BY p.id"
            )
        );
        assert_eq!(
            of(N_PLUS_ONE_WRITES).remedy.statement.as_deref(),
            Some(
                "UPDATE jobs SET owner_id = v.owner_id FROM unnest($1::bigint[], $2::bigint[]) v(owner_id, id) \
                  WHERE jobs.id = v.id"
            )
        );
        assert_eq!(of(N_PLUS_ONE_WRITES).effort, Effort::Small);
        assert_eq!(of(N_PLUS_ONE).details.len(), 1);
        assert!(of("errors").details.is_empty());
    }
}
