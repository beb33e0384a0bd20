//! Reads JSON as it streams by.
//!
//! A state, a bit for each level of nesting, and a table of names: that is all that is kept. The grammar is checked as far as the
//! figures need it; what turns out not to be JSON has none.

use memchr::memchr2;

use crate::fields::{Fields, Name};
use crate::figures::Figures;
use crate::number::Number;

/// Levels of nesting that are looked at. What is deeper ends the look.
pub const DEPTH_MAX: usize = 256;
/// Bytes of a body that are looked at. They say what the others are like.
const BYTES_MAX: usize = 1 << 20;

/// A look at one body.
#[derive(Debug)]
pub struct Look {
    state: State,
    depth: usize,
    /// A bit for each level: whether it is an object.
    objects: [u64; DEPTH_MAX / 64],
    /// The level of the list that stands in no other list, while it is open, and its elements so far.
    outer: Option<usize>,
    outer_length: u32,
    /// Where the value begins that comes or is read, with its name.
    item: usize,
    /// The name that is read, or its place in the table while its value is.
    name: Name,
    name_is_new: bool,
    place: Option<u8>,
    /// The string that is read.
    number: Number,
    is_empty: bool,
    fields: Fields,
    /// Bytes read.
    at: usize,
    /// There was more than is looked at.
    is_cut: bool,
    figures: Figures,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value: the body's own, or an element.
    Value,
    /// The first element, or the end of the list.
    FirstElement,
    /// The first name, or the end of the object.
    FirstName,
    Name,
    Colon,
    /// The value of a member.
    MemberValue,
    /// A comma, or the end of what is open.
    After,
    /// The rest of a string.
    Text(Role),
    /// The character behind a backslash.
    Escape(Role),
    /// The rest of a number.
    Number,
    /// The rest of `true`, `false` or `null`.
    Literal(&'static [u8]),
    /// Deeper than is looked at.
    TooDeep,
    /// This is no JSON.
    Broken,
}

/// What a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Name,
    Value,
}

const NULL_REST: &[u8] = b"ull";

impl Look {
    /// Reads the next piece.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = BYTES_MAX - self.at;
        let taken = &bytes[..bytes.len().min(room)];
        self.is_cut |= taken.len() < bytes.len();
        let (base, mut at) = (self.at, 0);
        while at < taken.len() {
            self.at = base + at;
            at += match self.state {
                State::Text(role) => self.text(role, &taken[at..]),
                State::Escape(role) => self.escaped(role, taken[at]),
                State::Number => self.number(taken[at]),
                State::Literal(rest) => self.literal(rest, taken[at]),
                State::TooDeep | State::Broken => return,
                _ => self.structure(taken[at]),
            };
        }
        self.at = base + taken.len();
    }

    /// Whether there is no use in reading on.
    pub fn is_over(&self) -> bool {
        self.is_cut || matches!(self.state, State::TooDeep | State::Broken)
    }

    /// What was seen. `None` when it was no JSON, or its end is missing although there was room for it.
    pub fn figures(&self) -> Option<Figures> {
        let is_cut = self.is_cut || self.state == State::TooDeep;
        let has_ended = self.depth == 0 && matches!(self.state, State::After | State::Number);
        if self.state == State::Broken || !(is_cut || has_ended) {
            return None;
        }
        let mut figures = Figures {
            bytes: self.at as u32,
            is_whole: !is_cut,
            ..self.figures
        };
        figures.values += u32::from(self.state == State::Number);
        if self.outer.is_some() {
            figures.list_length = figures.list_length.max(self.outer_length);
        }
        self.fields.tell(&mut figures);
        Some(figures)
    }

    /// One byte between values. Returns how many bytes it has read.
    fn structure(&mut self, byte: u8) -> usize {
        use State::{After, Colon, FirstElement, FirstName, MemberValue, Value};
        match (self.state, byte) {
            (_, b' ' | b'\n' | b'\r' | b'\t') => {}
            (After, b',') if self.depth > 0 => {
                self.state = if self.is_in_object() {
                    State::Name
                } else {
                    Value
                };
            }
            (After | FirstName, b'}') if self.is_in_object() => self.close(),
            (After | FirstElement, b']') if self.is_in_list() => self.close(),
            (FirstName | State::Name, b'"') => {
                self.item = self.at;
                self.name = Name::new();
                self.state = State::Text(Role::Name);
            }
            (Colon, b':') => {
                let weight = self.weight() - 1;
                self.figures.members += 1;
                self.figures.name_bytes += weight;
                if !self.name_is_new {
                    self.figures.repeated_name_bytes += weight;
                }
                self.state = MemberValue;
            }
            (Value | FirstElement, byte) => {
                (self.item, self.place) = (self.at, None);
                self.begin(byte);
            }
            (MemberValue, byte) => self.begin(byte),
            _ => self.state = State::Broken,
        }
        1
    }

    fn begin(&mut self, byte: u8) {
        self.state = match byte {
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            b'"' => {
                (self.number, self.is_empty) = (Number::new(), true);
                State::Text(Role::Value)
            }
            b'-' | b'0'..=b'9' => State::Number,
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(NULL_REST),
            _ => State::Broken,
        };
    }

    fn open(&mut self, is_object: bool) {
        if self.depth == DEPTH_MAX {
            self.state = State::TooDeep;
            return;
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        self.depth += 1;
        self.figures.depth = self.figures.depth.max(self.depth as u32);
        self.place = None;
        if is_object {
            self.objects[word] |= bit;
            self.state = State::FirstName;
        } else {
            self.objects[word] &= !bit;
            self.state = State::FirstElement;
            if self.outer.is_none() {
                (self.outer, self.outer_length) = (Some(self.depth), 0);
            }
        }
    }

    fn close(&mut self) {
        if self.state != State::After {
            self.note_empty();
        }
        if self.outer == Some(self.depth) {
            self.figures.list_length = self.figures.list_length.max(self.outer_length);
            self.outer = None;
        }
        self.depth -= 1;
        self.end_value();
    }

    fn text(&mut self, role: Role, bytes: &[u8]) -> usize {
        let end = memchr2(b'"', b'\\', bytes);
        let inside = &bytes[..end.unwrap_or(bytes.len())];
        match role {
            Role::Name => self.name.push(inside),
            Role::Value => self.number.push(inside),
        }
        self.is_empty &= inside.is_empty();
        let Some(end) = end else { return bytes.len() };
        self.at += end;
        match (bytes[end], role) {
            (b'\\', _) => {
                self.number.refuse();
                self.is_empty = false;
                self.state = State::Escape(role);
            }
            (_, Role::Name) => {
                let known = self.fields.find(&self.name);
                (self.place, self.name_is_new) = (known.place, known.is_new);
                self.state = State::Colon;
            }
            (_, Role::Value) => self.end_text(),
        }
        end + 1
    }

    fn escaped(&mut self, role: Role, byte: u8) -> usize {
        if role == Role::Name {
            self.name.push(&[b'\\', byte]);
        }
        self.state = State::Text(role);
        1
    }

    fn end_text(&mut self) {
        if self.is_empty {
            self.note_empty();
        } else if let Some(place) = self.place
            && self.number.is_number()
        {
            self.fields.note_number(place, &self.number);
        }
        self.end_value();
    }

    /// What ends a number is not read here.
    fn number(&mut self, byte: u8) -> usize {
        if matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E') {
            return 1;
        }
        self.end_value();
        0
    }

    fn literal(&mut self, rest: &'static [u8], byte: u8) -> usize {
        match rest.split_first() {
            Some((next, [])) if *next == byte => {
                if byte == b'l' {
                    self.figures.nulls += 1;
                    self.figures.null_bytes += self.weight();
                    if let Some(place) = self.place {
                        self.fields.note_null(place);
                    }
                }
                self.end_value();
            }
            Some((next, rest)) if *next == byte => self.state = State::Literal(rest),
            _ => self.state = State::Broken,
        }
        1
    }

    fn end_value(&mut self) {
        self.figures.values += 1;
        self.outer_length += u32::from(self.outer == Some(self.depth));
        self.state = State::After;
    }

    fn note_empty(&mut self) {
        self.figures.empties += 1;
        self.figures.empty_bytes += self.weight();
    }

    /// Of what began at `item` and ends with this byte, and of the comma behind it.
    fn weight(&self) -> u32 {
        (self.at - self.item) as u32 + 2
    }

    fn is_in_object(&self) -> bool {
        let level = self.depth.wrapping_sub(1);
        let word = self.objects.get(level / 64);
        word.is_some_and(|word| word & (1 << (level % 64)) != 0)
    }

    fn is_in_list(&self) -> bool {
        self.depth > 0 && !self.is_in_object()
    }
}

impl Default for Look {
    fn default() -> Self {
        Self {
            state: State::Value,
            depth: 0,
            objects: [0; DEPTH_MAX / 64],
            outer: None,
            outer_length: 0,
            item: 0,
            name: Name::new(),
            name_is_new: false,
            place: None,
            number: Number::new(),
            is_empty: true,
            fields: Fields::default(),
            at: 0,
            is_cut: false,
            figures: Figures::default(),
        }
    }
}
