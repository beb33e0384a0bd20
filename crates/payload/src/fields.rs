//! What members of the same name have in common.

use crate::digest::Digest;
use crate::figures::Figures;
use crate::number::Number;

/// Names that are told apart.
const FIELDS_MAX: usize = 64;
/// Places for them: half of them stay empty, so that a name is found within a few steps.
const SLOTS: usize = 2 * FIELDS_MAX;
/// The end of a name that is looked at.
const TAIL: usize = 8;

/// Ends of names whose values name something even when they are made of digits. No arithmetic is done with them, and a zero in
/// front may come tomorrow.
const IDENTIFIERS: [&[u8]; 16] = [
    b"id", b"ids", b"code", b"key", b"no", b"nr", b"number", b"zip", b"phone", b"ref", b"sku",
    b"ean", b"version", b"year", b"name", b"title",
];

/// The names that have come so far, by hash.
#[derive(Debug)]
pub(crate) struct Fields {
    slots: [Field; SLOTS],
    taken: usize,
}

/// What is known of the members of one name.
#[derive(Debug, Clone, Copy, Default)]
struct Field {
    /// 0: free.
    hash: u64,
    count: u32,
    nulls: u32,
    /// Strings that are numbers.
    numbers: u32,
    whole: Span,
    decimals: Span,
    has_negative: bool,
    is_identifier: bool,
}

/// Least and most.
#[derive(Debug, Clone, Copy)]
struct Span(u8, u8);

/// A name while it is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    digest: Digest,
    tail: [u8; TAIL],
}

/// A name that has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Its place, if there was one.
    pub(crate) place: Option<u8>,
    pub(crate) is_new: bool,
}

impl Fields {
    /// The place of a name.
    pub(crate) fn find(&mut self, name: &Name) -> Known {
        let hash = name.digest.get() | 1;
        let mut at = (hash >> 32) as usize % SLOTS;
        loop {
            let field = &mut self.slots[at];
            let place = Some(at as u8);
            if field.hash == hash {
                field.count += 1;
                return Known {
                    place,
                    is_new: false,
                };
            }
            if field.hash == 0 {
                if self.taken == FIELDS_MAX {
                    return Known {
                        place: None,
                        is_new: true,
                    };
                }
                self.taken += 1;
                *field = Field {
                    hash,
                    count: 1,
                    is_identifier: name.is_identifier(),
                    ..Field::default()
                };
                return Known {
                    place,
                    is_new: true,
                };
            }
            at = (at + 1) % SLOTS;
        }
    }

    pub(crate) fn note_null(&mut self, place: u8) {
        self.slots[usize::from(place)].nulls += 1;
    }

    pub(crate) fn note_number(&mut self, place: u8, number: &Number) {
        let field = &mut self.slots[usize::from(place)];
        field.numbers += 1;
        field.whole.note(number.whole);
        field.decimals.note(number.decimals);
        field.has_negative |= number.is_negative;
    }

    /// Adds what the names tell.
    pub(crate) fn tell(&self, figures: &mut Figures) {
        let seen = |field: &&Field| field.count >= Figures::FIELD_MIN;
        for field in self.slots.iter().filter(seen) {
            figures.fields += 1;
            figures.fields_null += u32::from(field.nulls == field.count);
            if field.is_numeric() {
                figures.fields_numeric += 1;
                figures.numeric_strings += field.numbers;
            }
        }
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            slots: [Field::default(); SLOTS],
            taken: 0,
        }
    }
}

impl Field {
    /// Whether its values are quantities that somebody has put in quotes.
    fn is_numeric(&self) -> bool {
        let is_text_throughout = self.numbers + self.nulls == self.count;
        let Span(fewest, most) = self.whole;
        let is_amount = self.decimals.0 == self.decimals.1 && self.decimals.0 > 0;
        let varies = fewest != most || self.decimals.0 != self.decimals.1 || self.has_negative;
        self.numbers >= Figures::FIELD_MIN
            && is_text_throughout
            && varies
            && !is_amount
            && !self.is_identifier
    }
}

impl Span {
    fn note(&mut self, value: u8) {
        *self = Self(self.0.min(value), self.1.max(value));
    }
}

impl Default for Span {
    fn default() -> Self {
        Self(u8::MAX, 0)
    }
}

impl Name {
    pub(crate) fn new() -> Self {
        Self {
            digest: Digest::new(0),
            tail: [0; TAIL],
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.digest.write(bytes);
        let new = bytes.len().min(TAIL);
        self.tail.rotate_left(new);
        self.tail[TAIL - new..].copy_from_slice(&bytes[bytes.len() - new..]);
    }

    /// Whether it ends in a word of the list: `id`, `user_id`, `userId`; `paid` does not.
    fn is_identifier(&self) -> bool {
        IDENTIFIERS.iter().any(|word| {
            let (before, end) = self.tail.split_at(TAIL - word.len());
            let begins = match before.last() {
                None | Some(0) => true,
                Some(before) => !before.is_ascii_alphabetic() || end[0].is_ascii_uppercase(),
            };
            begins && end.eq_ignore_ascii_case(word)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_known_by_their_end() {
        let rows = [
            ("id", true),
            ("ID", true),
            ("user_id", true),
            ("userId", true),
            ("orderNumber", true),
            ("postal-code", true),
            ("version", true),
            ("paid", false),
            ("grid", false),
            ("weight", false),
            ("", false),
            ("conversion", false),
        ];
        for (text, expected) in rows {
            for cut in 0..=text.len() {
                let mut name = Name::new();
                name.push(&text.as_bytes()[..cut]);
                name.push(&text.as_bytes()[cut..]);
                assert_eq!(name.is_identifier(), expected, "{text}");
            }
        }
    }

    #[test]
    fn names_beyond_the_last_place_are_new_each_time() {
        let mut fields = Fields::default();
        for round in 0..2 {
            for number in 0..FIELDS_MAX + 10 {
                let mut name = Name::new();
                name.push(number.to_string().as_bytes());
                let known = fields.find(&name);
                assert_eq!(known.place.is_some(), number < FIELDS_MAX, "{number}");
                assert_eq!(known.is_new, round == 0 || number >= FIELDS_MAX, "{number}");
            }
        }
    }
}
