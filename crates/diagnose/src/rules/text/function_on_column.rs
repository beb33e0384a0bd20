//! A function or a cast around a column keeps its index from being used.

use paceline_catalogue::{Column, Index, Relation, Snapshot};
use paceline_sql::{Form, Wrapped, Wrapper, range_form};

use super::told::{Candidate, Cost, once};
use super::within::{column, has_word, index_on, is_found_otherwise, parts, rows};
use super::{EXECUTIONS_MIN, ROW_READ_MIN_MS, ROWS_MIN};
use crate::finding::{Effort, Finding, Gain};
use crate::render::units::{count, time};
use crate::rule::{Check, Rule};
use crate::texts::{Text, Texts};

pub(super) const RULE: Rule = Rule {
    name: "function-on-indexed-column",
    about: "A condition puts a function or a cast around a column, so that the index on the column does not serve.",
    check: Check::TextsOfTables(findings),
};

fn findings(texts: &Texts<'_>, snapshot: &Snapshot) -> Vec<Finding> {
    let candidates = texts.list.iter().flat_map(|text| of_text(text, snapshot));
    once(candidates.collect())
}

fn of_text(text: &Text, snapshot: &Snapshot) -> Vec<Candidate> {
    let blocks = text.structure().map_or(&[][..], |one| &one.blocks);
    let found = blocks.iter().flat_map(|block| {
        parts(&block.conditions).filter_map(move |condition| {
            let Form::Wrapped(wrapped) = &condition.form else {
                return None;
            };
            let (table, column) = column(snapshot, block, &wrapped.column)?;
            let is_spared = is_found_otherwise(snapshot, block, table);
            let index = index_on(snapshot, table, column).filter(|_| !is_spared)?;
            let found = Found {
                text,
                wrapped,
                table,
                column,
                index,
            };
            found.candidate(snapshot)
        })
    });
    found.collect()
}

struct Found<'a> {
    text: &'a Text,
    wrapped: &'a Wrapped,
    table: &'a Relation,
    column: &'a Column,
    index: &'a Index,
}

impl Found<'_> {
    fn candidate(&self, snapshot: &Snapshot) -> Option<Candidate> {
        let Self {
            text,
            wrapped,
            table,
            column,
            index,
        } = *self;
        let rows = rows(table);
        let reads_all = text.mean_ms() >= rows * ROW_READ_MIN_MS;
        if rows < ROWS_MIN
            || text.executions < EXECUTIONS_MIN
            || !reads_all
            || self.changes_nothing()
            || self.has_index_of_its_own(snapshot)
        {
            return None;
        }
        let cost = Cost::of(text, 1.0);
        let (name, expression) = (table.full_name(), &wrapped.expression);
        let title = format!(
            "{} compares `{expression}`, so that {} on {} ({}) does not serve: it reads {name}.",
            cost.who(),
            index.full_name(),
            name,
            column.name,
        );
        let finding = Finding::new(RULE.name, cost.subject(), cost.severity, title)
            .fact("table", name.as_str())
            .fact("column", column.name.as_str())
            .fact("expression", expression.as_str())
            .fact("index", index.full_name())
            .fact("rows", rows as u64)
            .detail(
                "Table",
                format!(
                    "{} rows; {} each time",
                    count(rows as u64),
                    time(text.mean_ms())
                ),
            );
        let finding = Finding {
            time_lost_ms: text.time_ms,
            ..self.remedy(cost.told(finding))
        };
        let gain = format!(
            "an index reads the rows that are wanted instead of all {}",
            count(rows as u64)
        );
        Some(Candidate {
            key: format!("{name} {expression}"),
            finding: finding.gain(Gain::time(text.time_ms, gain)),
        })
    }

    fn remedy(&self, finding: Finding) -> Finding {
        let (expression, column) = (&self.wrapped.expression, self.column.quoted());
        let of_type = &self.column.type_name;
        if is_time(of_type)
            && let Some(range) = range_form(&self.text.shape.text)
        {
            let text = format!(
                "Compare `{column}` itself with a range, which the index that is there serves:"
            );
            return finding.remedy(Effort::Small, text).statement(range);
        }
        if is_time(of_type) {
            let text = format!(
                "Compare `{column}` itself with a range (`{column} >= $1 AND {column} < $2`), which the index that is there serves."
            );
            return finding.remedy(Effort::Medium, text);
        }
        if let Wrapper::Cast(to) = &self.wrapped.wrapper
            && is_text(to)
        {
            let text = format!(
                "Compare `{column}` with a value of its own type instead (`{column} = $1::{of_type}`), which the index that is there \
                 serves."
            );
            return finding.remedy(Effort::Small, text);
        }
        if self.wrapped.has_values {
            let text = format!(
                "Compare `{column}` itself, with what is around it on the other side; or create an index on the expression, with the \
                 constants in the place of the parameters of `{expression}`."
            );
            return finding.remedy(Effort::Medium, text);
        }
        let index = format!(
            "CREATE INDEX CONCURRENTLY ON {} (({expression}))",
            self.table.quoted()
        );
        let known = self.wrapped.names.iter().all(|name| is_immutable(name));
        let text = if known {
            "Create an index on the expression. It costs each write a little; drop the other one if nothing else uses it."
        } else {
            "Create an index on the expression, which Postgres allows if its functions are IMMUTABLE; or compare the column itself."
        };
        let effort = if known { Effort::Small } else { Effort::Medium };
        finding.remedy(effort, text).statement(index)
    }

    /// The index is of this type as well.
    fn changes_nothing(&self) -> bool {
        let Wrapper::Cast(to) = &self.wrapped.wrapper else {
            return false;
        };
        let from = self.column.type_name.split('(').next().unwrap_or_default();
        let is_same = |one: &str| from == one || is_text(one) && is_text(from);
        is_same(to) || catalogue_name(to).is_some_and(is_same)
    }

    /// Whether an index is on this expression, or on one so near to it that it may be.
    fn has_index_of_its_own(&self, snapshot: &Snapshot) -> bool {
        let of_table = snapshot.indexes_of(self.table.oid);
        let mut keys = of_table
            .filter(|one| one.is_valid)
            .flat_map(|index| &index.keys)
            .filter(|key| key.column.is_none());
        keys.any(|key| {
            let is_in = |name: &str| has_word(&key.text, name);
            let names = &self.wrapped.names;
            let has_name = |name: &str| {
                is_in(name)
                    || key.text.to_lowercase().contains(name)
                    || catalogue_name(name).is_some_and(|name| key.text.contains(name))
            };
            is_in(&self.column.name) && names.iter().any(|name| has_name(name))
        })
    }
}

fn is_time(type_name: &str) -> bool {
    type_name.starts_with("timestamp")
}

fn is_text(type_name: &str) -> bool {
    matches!(
        type_name,
        "text" | "varchar" | "character varying" | "bpchar" | "character"
    )
}

/// A type's name as the catalogue writes it.
fn catalogue_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "bool" => "boolean",
        "varchar" => "character varying",
        "bpchar" => "character",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "timetz" => "time with time zone",
        _ => return None,
    })
}

/// Functions, operators and casts that are surely allowed in an index, on whatever but times.
fn is_immutable(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "%",
        "*",
        "+",
        "-",
        "/",
        "abs",
        "bool",
        "btrim",
        "ceil",
        "char_length",
        "coalesce",
        "float4",
        "float8",
        "floor",
        "int2",
        "int4",
        "int8",
        "left",
        "length",
        "lower",
        "ltrim",
        "md5",
        "numeric",
        "replace",
        "reverse",
        "right",
        "round",
        "rtrim",
        "substr",
        "substring",
        "text",
        "upper",
        "uuid",
        "varchar",
    ];
    NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, check, index_on, table_of};
    use super::*;
    use crate::finding::Severity;

    fn planted(condition: &str, ms: u64) -> Scene {
        let mut scene = Scene::new(vec![table_of(
            "users",
            50_000,
            &["id", "email", "name", "seen_at", "code"],
        )]);
        for column in ["id", "email", "seen_at", "code"] {
            scene
                .snapshot
                .indexes
                .push(index_on(&scene.snapshot, "users", column));
        }
        let table = &mut scene.snapshot.relations[0];
        table.columns[3].type_name = "timestamp with time zone".to_owned();
        table.columns[4].type_name = "uuid".to_owned();
        let text = format!("SELECT name FROM users WHERE {condition}");
        (0..5).for_each(|_| scene.run("/users", &text, ms, 0, None));
        scene
    }

    #[test]
    fn fires_and_near_misses() {
        let rows = [
            ("lower(email) = $1", true),
            ("users.seen_at::date = $1", true),
            ("CAST(id AS text) = $1", true),
            ("id + $1 > $2", true),
            ("name = $1 AND lower(email) = $2", true),
            // The column itself, or one without an index.
            ("email = lower($1)", false),
            ("lower(name) = $1", false),
            // A cast that an index does not mind.
            ("email::varchar = $1", false),
            ("id::bigint = $1", false),
            // The row is found by something else.
            ("id = $1 AND lower(email) = $2", false),
            // It is of no use for an index whatever it says.
            ("lower(email) <> $1", false),
            ("lower(email) = name", false),
        ];
        for (condition, fires) in rows {
            let expected: &[&str] = if fires { &["GET /users"] } else { &[] };
            check(&RULE, condition, &planted(condition, 20), expected);
        }
    }

    #[test]
    fn small_tables_quick_statements_and_their_own_indexes_are_left_alone() {
        let condition = "lower(email) = $1";
        let mut small = planted(condition, 20);
        small.snapshot.relations[0] = table_of("users", 900, &["id", "email"]);
        small.snapshot.relations[0].oid = 100;
        check(&RULE, "a small table", &small, &[]);
        check(
            &RULE,
            "too quick to have read it",
            &planted(condition, 0),
            &[],
        );
        for (text, is_valid, fires) in [
            ("lower(email)", true, false),
            ("lower((email)::text)", true, false),
            ("lower(email)", false, true),
            ("lower(name)", true, true),
            ("upper(email)", true, true),
        ] {
            let mut scene = planted(condition, 20);
            let mut index = index_on(&scene.snapshot, "users", "email");
            (index.keys[0].column, index.keys[0].text) = (None, text.to_owned());
            index.is_valid = is_valid;
            scene.snapshot.indexes.push(index);
            let expected: &[&str] = if fires { &["GET /users"] } else { &[] };
            check(&RULE, text, &scene, expected);
        }
        let mut scene = planted(condition, 20);
        scene
            .snapshot
            .indexes
            .iter_mut()
            .for_each(|one| one.predicate = Some("id > 5".to_owned()));
        check(&RULE, "an index of some rows", &scene, &[]);
    }

    #[test]
    fn the_remedy_is_that_of_the_type() {
        let rows = [
            (
                "lower(email) = $1",
                "CREATE INDEX CONCURRENTLY ON public.users ((lower(email)))",
            ),
            (
                "seen_at::date = $1",
                "SELECT name FROM users WHERE seen_at >= $1::date AND seen_at < $1::date + 1",
            ),
            (
                "email::bigint = $1",
                "CREATE INDEX CONCURRENTLY ON public.users ((email::bigint))",
            ),
        ];
        for (condition, expected) in rows {
            let finding = &planted(condition, 20).look(&RULE)[0];
            assert_eq!(finding.remedy.statement.as_deref(), Some(expected));
        }
        let cast = &planted("code::text = $1", 20).look(&RULE)[0];
        assert!(
            cast.remedy.text.contains("code = $1::uuid"),
            "{}",
            cast.remedy.text
        );
        assert_eq!(cast.severity, Severity::High);
        // Nobody waits for a millisecond, whatever its part in the route is.
        let quick = &planted("code::text = $1", 1).look(&RULE)[0];
        assert_eq!(quick.severity, Severity::Medium);
    }
}
