//! The table of statements seen before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Kind, SessionEffect, Shape, ShapeId};

/// Bounds of a [`Statements`] table.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Texts, and as many literal-free forms of texts, that are remembered.
    pub entries_max: usize,
    /// Bytes of memory for the texts, and as many again for the literal-free forms.
    pub bytes_max: usize,
    /// A text with more bytes is never kept as it stands.
    pub text_bytes_max: usize,
    /// Shapes with an id of their own; those met later share [`ShapeId::OTHER`].
    pub shapes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            entries_max: 16_384,
            bytes_max: 16 * 1024 * 1024,
            text_bytes_max: 16 * 1024,
            shapes_max: 2_048,
        }
    }
}

/// All that was learnt about statements, shared by all workers.
#[derive(Debug)]
pub struct Statements {
    limits: Limits,
    shapes: Mutex<HashMap<Box<str>, Arc<Shape>>>,
}

/// One statement: its shape, and a measure of its values.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it has in common with all statements that differ only in values.
    pub shape: Arc<Shape>,
    /// A hash of the literals in the text, for telling value sets apart when measuring; 0 when there are none.
    pub literals: u64,
}

/// The answer of [`Statements::understand`].
#[derive(Clone, Debug)]
pub enum Understanding {
    /// Seen before, or differs only in literals from one that was.
    Known(Statement),
    /// Call [`Statements::learn`].
    NeedsParse,
}

impl Statements {
    /// An empty table.
    pub fn new(limits: Limits) -> Statements {
        Statements {
            limits,
            shapes: Mutex::default(),
        }
    }

    /// Looks a text up, without ever parsing.
    pub fn understand(&self, text: &str) -> Understanding {
        let shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        match shapes.get(text) {
            Some(shape) => Understanding::Known(Statement {
                shape: Arc::clone(shape),
                literals: 0,
            }),
            None => Understanding::NeedsParse,
        }
    }

    /// Learns a text.
    pub fn learn(&self, text: &str) -> Statement {
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = shapes.get(text) {
            return Statement {
                shape: Arc::clone(shape),
                literals: 0,
            };
        }
        let full = shapes.len() >= self.limits.shapes_max;
        let shape = Arc::new(Shape {
            id: if full {
                ShapeId::OTHER
            } else {
                ShapeId::new(shapes.len() as u32 + 1)
            },
            text: if full { "(other)".into() } else { text.into() },
            summary: "UNKNOWN".into(),
            kind: Kind::Unknown,
            reads: Box::default(),
            writes: Box::default(),
            functions: Box::default(),
            session: SessionEffect::Unknown,
            transaction: None,
            locks: false,
            hidden_writes: false,
        });
        if !full {
            shapes.insert(text.into(), Arc::clone(&shape));
        }
        Statement { shape, literals: 0 }
    }
}
