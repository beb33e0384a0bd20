//! Tables and what belongs to them.

/// A table or what is read like one.
#[derive(Debug, Clone, Default)]
pub struct Relation {
    /// Its OID.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
    /// Whether a crash spares it.
    pub persistence: Persistence,
    /// Whether it is a partition of another one.
    pub is_partition: bool,
    /// Whether an extension has brought it.
    pub is_of_extension: bool,
    /// Rows as of the last VACUUM or ANALYZE; `None` before the first.
    pub estimated_rows: Option<f64>,
    /// The table itself.
    pub heap_bytes: u64,
    /// All its indexes.
    pub index_bytes: u64,
    /// Its large values, and their index.
    pub toast_bytes: u64,
    /// How full blocks are made, in percent.
    pub fillfactor: u32,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// What is counted. `None` for views.
    pub statistics: Option<TableStatistics>,
}

impl Relation {
    /// `public.jobs`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// `public."Jobs"`, for a statement.
    pub fn quoted(&self) -> String {
        quoted(&self.schema, &self.name)
    }

    /// The column of this number.
    pub fn column(&self, number: i16) -> Option<&Column> {
        self.columns.iter().find(|column| column.number == number)
    }

    /// Whether it has rows of its own on disk.
    pub fn has_storage(&self) -> bool {
        matches!(
            self.kind,
            RelationKind::Table | RelationKind::MaterializedView
        )
    }

    /// Rows: those that are counted while it runs where they are known, else those estimated.
    pub fn rows(&self) -> f64 {
        let live = self.statistics.as_ref().map(|one| one.live_rows as f64);
        live.unwrap_or(0.0).max(self.estimated_rows.unwrap_or(0.0))
    }
}

/// The kinds of relations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RelationKind {
    /// A table, or a partition.
    #[default]
    Table,
    /// A table that is only its partitions.
    Partitioned,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A table elsewhere.
    Foreign,
}

/// What a crash leaves of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persistence {
    /// All.
    #[default]
    Permanent,
    /// Nothing.
    Unlogged,
}

/// A column.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// Its number, from 1. Dropped ones leave gaps.
    pub number: i16,
    /// Its name.
    pub name: String,
    /// Its type as it is written, `character varying(40)`.
    pub type_name: String,
    /// The type's OID.
    pub type_oid: u32,
    /// Whether it is declared NOT NULL.
    pub is_not_null: bool,
    /// Bytes of a value on average, from the last ANALYZE, like the two below. `None`: none yet, or hidden from our role.
    pub average_width_bytes: Option<i32>,
    /// The part (0 to 1) of the rows in which it is null.
    pub null_fraction: Option<f32>,
    /// Distinct values; below 0, as a part of the rows.
    pub distinct: Option<f32>,
}

/// What is counted for a table since [`crate::Database::statistics_age_s`].
#[derive(Debug, Clone, Default)]
pub struct TableStatistics {
    /// Scans of the whole table.
    pub sequential_scans: u64,
    /// Live rows that these have read.
    pub sequential_rows: u64,
    /// Scans of its indexes.
    pub index_scans: u64,
    /// Rows that were inserted.
    pub inserted: u64,
    /// Rows that were updated.
    pub updated: u64,
    /// Of these, those that needed no change of an index.
    pub updated_hot: u64,
    /// Rows that were deleted.
    pub deleted: u64,
    /// Live rows, estimated.
    pub live_rows: u64,
    /// Dead rows, estimated.
    pub dead_rows: u64,
    /// Rows that have changed since the last ANALYZE.
    pub modified_since_analyze: u64,
    /// How long ago it was last vacuumed, by whomever.
    pub vacuumed_s_ago: Option<f64>,
    /// How long ago it was last analysed, by whomever.
    pub analysed_s_ago: Option<f64>,
    /// Blocks of the table that were found in the server's own memory.
    pub blocks_hit: u64,
    /// Blocks of the table that were not.
    pub blocks_read: u64,
}

/// An index.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Its OID.
    pub oid: u32,
    /// The OID of its table.
    pub relation: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `btree`, `gin`.
    pub method: String,
    /// What it is sorted by.
    pub keys: Vec<IndexKey>,
    /// Numbers of the columns that it only holds.
    pub included: Vec<i16>,
    /// Which rows it has, as SQL; `None`: all.
    pub predicate: Option<String>,
    /// The statement that makes it.
    pub definition: String,
    /// Whether two rows may have the same key.
    pub is_unique: bool,
    /// Whether it is the primary key's.
    pub is_primary: bool,
    /// Whether a constraint needs it.
    pub backs_constraint: bool,
    /// Whether logical replication finds rows by it.
    pub is_replica_identity: bool,
    /// Whether it belongs to the index of a partitioned table.
    pub is_partition: bool,
    /// Whether queries can use it. Not while it is built, and not when building it has failed.
    pub is_valid: bool,
    /// Whether somebody builds it right now.
    pub is_being_built: bool,
    /// All of it on disk.
    pub bytes: u64,
    /// Its entries as of the last VACUUM or ANALYZE.
    pub estimated_entries: f64,
    /// How full blocks are made, in percent.
    pub fillfactor: u32,
    /// How often queries have used it.
    pub scans: u64,
    /// How long ago they last did (Postgres 16).
    pub scanned_s_ago: Option<f64>,
}

impl Index {
    /// `public.jobs_pkey`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// `public."Jobs_pkey"`, for a statement.
    pub fn quoted(&self) -> String {
        quoted(&self.schema, &self.name)
    }

    /// The columns that it is sorted by, until the first expression.
    pub fn leading_columns(&self) -> impl Iterator<Item = i16> {
        self.keys.iter().map_while(|key| key.column)
    }
}

/// What an index is sorted by. Two are the same if everything is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexKey {
    /// The column's number; `None` for an expression.
    pub column: Option<i16>,
    /// The column or expression as SQL.
    pub text: String,
    /// The OID of its operator class: what "equal" and "less" mean.
    pub operator_class: u32,
    /// The OID of its collation, or 0.
    pub collation: u32,
    /// Descending and NULLS FIRST, as bits of `indoption`.
    pub options: i16,
}

/// A constraint.
#[derive(Debug, Clone, Default)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// The OID of its table.
    pub relation: u32,
    /// What it is.
    pub kind: ConstraintKind,
    /// Numbers of its columns, in its order.
    pub columns: Vec<i16>,
    /// Where a foreign key leads.
    pub foreign: Option<ForeignKey>,
    /// Whether old rows are known to obey it.
    pub is_validated: bool,
}

/// The kinds of constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConstraintKind {
    /// A condition on each row.
    #[default]
    Check,
    /// A primary key.
    Primary,
    /// A unique key.
    Unique,
    /// A foreign key.
    Foreign,
    /// An exclusion.
    Exclusion,
}

/// Where a foreign key leads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignKey {
    /// The OID of the table.
    pub relation: u32,
    /// Numbers of its columns, in the order of the constraint's.
    pub columns: Vec<i16>,
    /// Whether deleting there changes rows here (CASCADE, SET NULL, SET DEFAULT).
    pub deletes_on: bool,
}

/// A sequence.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The value given last; `None`: none yet, or hidden from our role.
    pub last: Option<i64>,
    /// The least value.
    pub min: i64,
    /// The greatest value.
    pub max: i64,
    /// From value to value.
    pub increment: i64,
    /// Whether it begins anew at its end.
    pub cycles: bool,
    /// OID of a table and number of a column that gets its values.
    pub feeds: Option<(u32, i16)>,
}

impl Sequence {
    /// `public.jobs_id_seq`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// `public."Jobs_id_seq"`, for a statement.
    pub fn quoted(&self) -> String {
        quoted(&self.schema, &self.name)
    }
}

fn quoted(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// An identifier that means the same with and without a reader who knows its case. Quoting one too many does no harm.
fn quote(name: &str) -> String {
    let mut characters = name.chars();
    let starts_plain = characters
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if starts_plain && characters.all(is_plain) && !RESERVED.contains(&name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

impl Column {
    /// Its name, for a statement.
    pub fn quoted(&self) -> String {
        quote(&self.name)
    }
}

/// Words of SQL that cannot stand as the name of a table or column (reserved, or reserved but for functions and types).
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let rows = [
            ("jobs", "jobs"),
            ("_a1", "_a1"),
            ("Jobs", "\"Jobs\""),
            ("order", "\"order\""),
            ("user", "\"user\""),
            ("1a", "\"1a\""),
            ("a-b", "\"a-b\""),
            ("a\"b", "\"a\"\"b\""),
            ("größe", "\"größe\""),
            ("", "\"\""),
        ];
        for (name, expected) in rows {
            assert_eq!(quote(name), expected);
        }
    }
}
