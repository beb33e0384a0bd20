//! What a look tells.

/// What a JSON body, or as much of it as was looked at, is made of.
///
/// Weights are in bytes as they were sent: a member is its name, its value, the whitespace between, and one more byte for the
/// comma; an element of a list is its value and one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Bytes looked at.
    pub bytes: u32,
    /// Whether that was all of it.
    pub is_whole: bool,
    /// Values of any sort: also members' and lists' own.
    pub values: u32,
    /// Members of objects.
    pub members: u32,
    /// Values that are null.
    pub nulls: u32,
    /// The weight of these.
    pub null_bytes: u32,
    /// Values that are an empty string, object or list.
    pub empties: u32,
    /// The weight of these.
    pub empty_bytes: u32,
    /// Weight of members' names, with quotes and colon.
    pub name_bytes: u32,
    /// The part of it that names take which had come before; names beyond the first 64 count as new.
    pub repeated_name_bytes: u32,
    /// How deep objects and lists stand in each other: `[{}]` is 2.
    pub depth: u32,
    /// Elements of the longest list that stands in no other list.
    pub list_length: u32,
    /// Names that came at least [`Figures::FIELD_MIN`] times, of the first 64.
    pub fields: u32,
    /// Of these, always null.
    pub fields_null: u32,
    /// Of these, always a number as text, or null: `"12"`. Numbers that name something are not among them (`id`, `code`, `zip`, of
    /// the same length throughout, or longer than a double holds), nor amounts with a fixed number of decimals.
    pub fields_numeric: u32,
    /// The values of these that are not null.
    pub numeric_strings: u32,
}

impl Figures {
    /// How often a name must come before it says something about all its values.
    pub const FIELD_MIN: u32 = 5;
}
