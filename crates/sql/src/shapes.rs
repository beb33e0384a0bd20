//! The table of shapes: every shape once, with an id that stays good.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::pretty::pretty;
use crate::shape::{Shape, ShapeId};
use crate::tree::Facts;
use crate::watched::is_watched;

/// All shapes met so far, up to a fixed number.
#[derive(Debug)]
pub(crate) struct Shapes {
    shapes_max: usize,
    bytes_max: usize,
    text_bytes_max: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// By text. Statements that do different things in spite of one text (`set_config` with and without `TRUE`, say, or a
    /// text that the parser refuses) are different shapes.
    shapes: HashMap<Box<str>, Vec<Arc<Shape>>>,
    count: usize,
    bytes: usize,
}

impl Shapes {
    pub(crate) fn new(shapes_max: usize, bytes_max: usize, text_bytes_max: usize) -> Shapes {
        // Ids are 32 bits wide.
        let shapes_max = shapes_max.min(u32::MAX as usize - 1);
        Shapes {
            shapes_max,
            bytes_max,
            text_bytes_max,
            table: Mutex::default(),
        }
    }

    /// Shapes with an id of their own.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count
    }

    /// The shape with this form and these facts. `form` is absent when the text has none that is short enough.
    pub(crate) fn intern(&self, form: Option<&str>, facts: &Facts) -> Arc<Shape> {
        let Some(text) = form
            .map(pretty)
            .filter(|text| text.len() <= self.text_bytes_max)
        else {
            return Arc::new(shape(ShapeId::OTHER, OTHER_TEXT, facts));
        };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = table.shapes.get(&*text)
            && let Some(shape) = known.iter().find(|shape| has_facts(shape, facts))
        {
            return Arc::clone(shape);
        }
        // The text twice, and lists that cannot hold much that is not in the text.
        let bytes = 4 * text.len() + 512;
        if table.count >= self.shapes_max || table.bytes + bytes > self.bytes_max {
            return Arc::new(shape(ShapeId::OTHER, OTHER_TEXT, facts));
        }
        table.count += 1;
        table.bytes += bytes;
        let shape = Arc::new(shape(ShapeId::new(table.count as u32), &text, facts));
        table
            .shapes
            .entry(text.into())
            .or_default()
            .push(Arc::clone(&shape));
        shape
    }
}

/// The text of a shape without an id of its own.
const OTHER_TEXT: &str = "(other)";

fn shape(id: ShapeId, text: &str, facts: &Facts) -> Shape {
    let summary = if id == ShapeId::OTHER {
        OTHER_TEXT
    } else {
        &facts.summary
    };
    Shape {
        id,
        text: text.into(),
        summary: summary.into(),
        kind: facts.kind,
        reads: facts.reads.clone().into(),
        writes: facts.writes.clone().into(),
        functions: facts.functions.clone().into(),
        session: facts.session.clone(),
        transaction: facts.transaction,
        locks: facts.locks,
        hidden_writes: facts.hidden_writes,
        has_watched: is_watched(text),
    }
}

fn has_facts(shape: &Shape, facts: &Facts) -> bool {
    shape.kind == facts.kind
        && *shape.reads == *facts.reads
        && *shape.writes == *facts.writes
        && *shape.functions == *facts.functions
        && shape.session == facts.session
        && shape.transaction == facts.transaction
        && shape.locks == facts.locks
        && shape.hidden_writes == facts.hidden_writes
}
