//! What a statement's text is made of, as far as rules on its wording ask: which tables it names, what it selects, and by what
//! conditions. Made on demand from a shape's text, for reports, never for statements under way.

mod columns;
mod condition;
mod keyset;
mod range;
mod read;
mod tree;
mod union;

pub use keyset::{KeysetColumn, KeysetForm, keyset_form};
pub use range::range_form;
pub use union::{UnionForm, union_form};

use crate::Relation;

/// A longer text is not looked at.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A statement as its blocks: each SELECT of it, in whatever depth; or the one UPDATE or DELETE, and what SELECTs that has.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Structure {
    /// The outermost first.
    pub blocks: Vec<Block>,
}

/// What stands between one FROM and its WHERE.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Block {
    /// What is read, in the order of the text.
    pub sources: Vec<Source>,
    /// The select list, or what is returned.
    pub selected: Vec<Selected>,
    /// What must all be true: the parts of WHERE that AND connects, and those of each ON.
    pub conditions: Vec<Condition>,
}

/// A table or what stands in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The table; `None` for a subquery, a common table expression, a function or whatever else gives rows.
    pub relation: Option<Relation>,
    /// The name by which the statement calls it; empty when it has none.
    pub alias: Box<str>,
}

/// An item of a select list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// `*`
    All,
    /// `t.*`: the source of this number.
    AllOf(usize),
    /// A column as it is.
    Column(Column),
    /// Anything else.
    Expression,
}

/// A column, as the text names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Which source's it is.
    pub place: Place,
    /// Its name.
    pub name: Box<str>,
}

/// Where a column belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To the source of this number.
    Source(usize),
    /// To one of the block's sources, or to something outside: it is named without a table, and there are several.
    Unsaid,
    /// To something outside of the block.
    Outside,
}

/// One of the conditions that must all be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it says, as far as it is one of the usual forms.
    pub form: Form,
    /// All columns in it.
    pub columns: Vec<Column>,
    /// Whether these are all. There may be more behind syntax that is rare.
    pub is_whole: bool,
}

/// The usual forms of a condition. A value is whatever is the same for all rows: a parameter, a constant, a function of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A column equals a value, or one of some values.
    Equals(Column),
    /// A column is compared with a value otherwise.
    Compares(Column),
    /// What is made of a column is compared with a value.
    Wrapped(Wrapped),
    /// LIKE, in any of its forms.
    Like(Like),
    /// Arms that OR connects.
    Any(Vec<Condition>),
    /// Parts that AND connects, within an arm.
    All(Vec<Condition>),
    /// Anything else.
    Else,
}

/// A column within a function, a cast or arithmetics, compared with a value: an index on the column does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The column.
    pub column: Column,
    /// What is made of it, without the table's name: `lower(email)`.
    pub expression: String,
    /// What is around it.
    pub wrapper: Wrapper,
    /// Names of all functions and types within the expression.
    pub names: Vec<Box<str>>,
    /// Whether values stand within the expression, too: `date_trunc($1, created_at)`.
    pub has_values: bool,
    /// Whether it is compared for equality, with one value or some.
    pub is_equality: bool,
}

/// What is around a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// A function of this name, without its schema.
    Function(Box<str>),
    /// A cast to this type, by the name that the catalogue has for it (`int8`).
    Cast(Box<str>),
    /// An operator.
    Operator(Box<str>),
}

/// A LIKE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Like {
    /// What is searched: a column, or a column within a function such as `lower`.
    pub column: Option<Column>,
    /// The function around it.
    pub function: Option<Box<str>>,
    /// Its number among those of the text, from 0, as in [`Values::leading`](crate::Values).
    pub number: usize,
    /// ILIKE.
    pub ignores_case: bool,
    /// NOT LIKE.
    pub is_negated: bool,
}

/// What a shape's text is made of. `None`: it is none of SELECT, UPDATE, DELETE and INSERT, or too large, or refused by the parser.
///
/// ```
/// use paceline_sql::{Form, structure};
///
/// let structure = structure("SELECT * FROM users WHERE lower(email) = $1").expect("a SELECT");
/// let Form::Wrapped(wrapped) = &structure.blocks[0].conditions[0].form else { panic!() };
/// assert_eq!((&*wrapped.column.name, &*wrapped.expression), ("email", "lower(email)"));
/// ```
pub fn structure(shape_text: &str) -> Option<Structure> {
    read::read(shape_text)
}

#[cfg(test)]
mod tests;
