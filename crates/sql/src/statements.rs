//! The table of statements seen before.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};

use crate::condense::{STRING_NAME, condense};
use crate::reduce::{Exact, Guess, Irreducible, Recording, Reducer, hash_literal, hash_literals};
use crate::session::SettingName;
use crate::shape::Shape;
use crate::shapes::Shapes;
use crate::templates::Templates;
use crate::tree::{self, Facts};
use crate::trusted::TrustedFunction;
use crate::watched::Watched;

/// Bounds of a [`Statements`] table, and what it takes on trust.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Texts, and as many literal-free forms of texts, that are remembered.
    pub entries_max: usize,
    /// Bytes of memory for the texts, as many again for the literal-free forms, and for the shapes.
    pub bytes_max: usize,
    /// A text with more bytes is never kept as it stands, nor a longer form; a shape whose text is longer is
    /// [`ShapeId::OTHER`](crate::ShapeId::OTHER).
    pub text_bytes_max: usize,
    /// Shapes with an id of their own; those met later share [`ShapeId::OTHER`](crate::ShapeId::OTHER).
    pub shapes_max: usize,
    /// Functions outside Postgres's own catalogue that leave nothing behind in their session. A statement that calls any other
    /// [does nobody knows what](crate::SessionFacts::is_unknown).
    pub trusted_functions: Vec<TrustedFunction>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            entries_max: 16_384,
            bytes_max: 16 * 1024 * 1024,
            text_bytes_max: 16 * 1024,
            shapes_max: 2_048,
            trusted_functions: Vec::new(),
        }
    }
}

/// One statement: its shape, and a measure of its values.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it has in common with all statements that differ only in values.
    pub shape: Arc<Shape>,
    /// A hash of the constants in the text, for telling value sets apart when measuring; 0 when there are none. Parameters
    /// (`$1`) are no constants.
    pub literals: u64,
    /// Where the few values are that tell more than the shape does, if it [has](Shape::has_watched) any.
    pub watched: Watched,
}

impl Statement {
    #[inline]
    fn new(shape: Arc<Shape>, literals: u64, text: &str) -> Statement {
        let watched = match shape.has_watched {
            true => Watched::of(text),
            false => Watched::default(),
        };
        Statement {
            shape,
            literals,
            watched,
        }
    }
}

/// The answer of [`Statements::understand`].
#[derive(Clone, Debug)]
pub enum Understanding {
    /// Seen before, or differs only in literals from one that was.
    Known(Statement),
    /// Call [`Statements::learn`].
    NeedsParse,
}

/// All that was learnt about statements, shared by all workers.
///
/// # Costs
///
/// | text | [`understand`](Statements::understand) | [`learn`](Statements::learn) |
/// |---|---|---|
/// | seen before | one look-up, some 20 ns | the same |
/// | differs in one integer from one seen before | two comparisons, some 30 ns | the same |
/// | differs in literals from one seen before | one pass of a lexer (some 4 ns a byte) and two look-ups | the same |
/// | new | the same, for nothing | parses: 10 µs for a short statement, 60 µs for an ORM's join of 500 bytes |
///
/// Both grow with the text. A text of more than [`Statements::INLINE_BYTES_MAX`] bytes should therefore be looked at on a
/// thread where nobody waits; at that size `learn` takes some 5 ms.
///
/// # Bounds
///
/// Texts and forms are kept in sharded caches, bounded by [`Limits`], compared in full (never by a hash alone) and hashed
/// with a random seed. A flood of new texts evicts others, at a constant cost each; statements in frequent use outlive it.
/// A text with literals is kept as it stands only when it comes a second time, so that values that never come again leave
/// no trace. Shapes are never forgotten, so that their ids stay good, but there is a fixed number of them.
#[derive(Debug)]
pub struct Statements {
    limits: Limits,
    /// Full texts.
    texts: Cache<Box<[u8]>, Statement, Weight>,
    /// Skeletons; see [`crate::reduce`].
    skeletons: Cache<Box<[u8]>, Arc<Shape>, Weight>,
    shapes: Shapes,
    templates: Templates,
    seen_once: Doorkeeper,
}

thread_local! {
    /// Buffers for reductions, so that looking a text up allocates nothing.
    static REDUCER: RefCell<Reducer> = RefCell::default();
}

impl Statements {
    /// A text with more bytes should not be given to [`Statements::understand`] or [`Statements::learn`] on a thread that
    /// serves others meanwhile.
    pub const INLINE_BYTES_MAX: usize = 32 * 1024;

    /// An empty table.
    pub fn new(limits: Limits) -> Statements {
        Statements {
            texts: cache(&limits),
            skeletons: cache(&limits),
            shapes: Shapes::new(limits.shapes_max, limits.bytes_max, limits.text_bytes_max),
            templates: Templates::default(),
            seen_once: Doorkeeper::default(),
            limits,
        }
    }

    /// Looks a text up, without ever parsing. The text is one whose trace comment was taken off
    /// ([`strip_comment`](crate::strip_comment)).
    pub fn understand(&self, text: &str) -> Understanding {
        if let Some((shape, integer)) = self.templates.find(text) {
            let literals = hash_literal(&text.as_bytes()[integer]);
            return Understanding::Known(Statement::new(shape, literals, text));
        }
        if let Some(statement) = self.texts.get(text.as_bytes()) {
            return Understanding::Known(statement);
        }
        let found = REDUCER.with_borrow_mut(|reducer| {
            let (skeleton, literals) =
                reducer.reduce(text, &mut Guess, self.limits.text_bytes_max)?;
            let shape = self.skeletons.get(skeleton).ok_or(Irreducible)?;
            Ok::<_, Irreducible>((
                Statement::new(shape, literals, text),
                reducer.only_integer(),
            ))
        });
        match found {
            Ok((statement, only_integer)) => {
                if let Some(integer) = only_integer {
                    self.templates.remember(text, integer, &statement.shape);
                } else if self.seen_once.is_second(text, &statement) {
                    self.remember_text(text, &statement);
                }
                Understanding::Known(statement)
            }
            Err(Irreducible) => Understanding::NeedsParse,
        }
    }

    /// Looks a text up, and parses it when it is new. Never fails: what the parser refuses is [`Kind::Unknown`], and so is a
    /// text of more than [`Statements::INLINE_BYTES_MAX`] bytes that has more than 32,768 tokens although long lists of
    /// constants are cut. The tree of a text takes some 40 MiB at most.
    ///
    /// [`Kind::Unknown`]: crate::Kind::Unknown
    pub fn learn(&self, text: &str) -> Statement {
        if let Understanding::Known(statement) = self.understand(text) {
            return statement;
        }
        let literals = hash_literals(text);
        let short = (text.len() > Statements::INLINE_BYTES_MAX).then(|| condense(text));
        let text = match &short {
            Some(Some(short)) => short,
            Some(None) => {
                let shape = self.shapes.intern(None, &Facts::unknown(text));
                return Statement::new(shape, literals, text);
            }
            None => text,
        };
        let mut facts = tree::read(text, &self.limits.trusted_functions);
        if short.is_some() && has_lost_a_name(&facts) {
            facts = Facts::unknown(text);
        }
        let mut recording = Recording::default();
        let mut reducer = Reducer::default();
        let bytes_max = self.limits.text_bytes_max;
        let mut exact = Exact {
            text,
            constants: &facts.constants,
            utilities: &facts.utilities,
        };
        let form = match reducer.reduce(text, &mut exact, bytes_max) {
            Ok((form, _)) => std::str::from_utf8(form).ok(),
            Err(Irreducible) => None,
        };
        let shape = self.shapes.intern(form, &facts);
        let statement = Statement::new(shape, literals, text);
        match reducer.reduce(text, &mut recording, bytes_max) {
            Ok((skeleton, _)) if recording.is_confirmed_by(&facts.constants) => {
                self.skeletons
                    .insert(skeleton.into(), Arc::clone(&statement.shape));
                if statement.literals == 0 {
                    self.remember_text(text, &statement);
                }
            }
            _ => self.remember_text(text, &statement),
        }
        statement
    }

    #[cfg(test)]
    pub(crate) fn has_template(&self, text: &str) -> bool {
        self.templates.find(text).is_some()
    }

    fn remember_text(&self, text: &str, statement: &Statement) {
        if text.len() <= self.limits.text_bytes_max {
            self.texts.insert(text.as_bytes().into(), statement.clone());
        }
    }
}

/// Whether a long string was left out that is the name of a setting.
fn has_lost_a_name(facts: &Facts) -> bool {
    let changes = facts.session.facts().into_iter();
    let mut changes = changes.flat_map(|facts| &facts.settings);
    changes.any(|change| matches!(&change.name, SettingName::Named(name) if **name == *STRING_NAME))
}

/// What an entry weighs in bytes, more or less: the key, the shape that it may be the last to hold, the cache's own nodes.
/// At least its share of the number of entries, so that this number is bounded, too.
#[derive(Clone, Debug)]
struct Weight {
    least: u64,
}

impl<T> Weighter<Box<[u8]>, T> for Weight {
    fn weight(&self, key: &Box<[u8]>, _: &T) -> u64 {
        const ENTRY_BYTES: u64 = 128;
        (key.len() as u64 * 2 + ENTRY_BYTES).max(self.least)
    }
}

fn cache<T: Clone>(limits: &Limits) -> Cache<Box<[u8]>, T, Weight> {
    let entries_max = limits.entries_max.max(1);
    let bytes_max = limits.bytes_max.max(1) as u64;
    let weight = Weight {
        least: (bytes_max / entries_max as u64).max(1),
    };
    let options = OptionsBuilder::new()
        .estimated_items_capacity(entries_max)
        .weight_capacity(bytes_max)
        .build();
    match options {
        Ok(options) => Cache::with_options(
            options,
            weight,
            quick_cache::DefaultHashBuilder::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        ),
        Err(_) => Cache::with_weighter(entries_max, bytes_max, weight),
    }
}

/// Remembers, roughly and in little memory, which texts were seen lately: a text is worth keeping when it comes again.
///
/// One slot per hash, holding the hash of the text that came last. A collision costs at most one needless copy.
#[derive(Debug)]
struct Doorkeeper {
    slots: Box<[AtomicU32]>,
}

impl Default for Doorkeeper {
    fn default() -> Doorkeeper {
        Doorkeeper {
            slots: (0..Doorkeeper::SLOTS).map(|_| AtomicU32::new(0)).collect(),
        }
    }
}

impl Doorkeeper {
    const SLOTS: usize = 8_192;

    /// True when this text came before, and nothing else came in its place.
    fn is_second(&self, text: &str, statement: &Statement) -> bool {
        // Within one shape, texts differ in their literals.
        let shape = u64::from(statement.shape.id.get()) << 32 ^ text.len() as u64;
        let hash = (statement.literals ^ shape).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = &self.slots[(hash >> 51) as usize % Doorkeeper::SLOTS];
        let mark = hash as u32 | 1;
        slot.load(Ordering::Relaxed) == mark || {
            slot.store(mark, Ordering::Relaxed);
            false
        }
    }
}

#[cfg(test)]
mod tests;
