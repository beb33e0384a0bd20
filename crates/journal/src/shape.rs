//! What is known per query shape.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use paceline_sql::{Kind, SessionEffect, Shape, ShapeId};

use crate::execution::Ended;
use crate::latencies::Latencies;
use crate::lock;
use crate::slots::{Entry, Slots};
use crate::values::ValueCounts;

/// All executions of one shape since the start.
#[derive(Debug, Clone)]
pub struct ShapeSnapshot {
    /// The shape; with [`ShapeId::OTHER`], all that have no slot of their own.
    pub shape: Arc<Shape>,
    /// Executions that ended, however they did.
    pub executions: u64,
    /// Of these, failed.
    pub errors: u64,
    /// Of these, lost: their connection ended first.
    pub lost: u64,
    /// Rows returned or affected.
    pub rows: u64,
    /// From sent to ended, without the lost ones.
    pub time: Latencies,
    /// Waiting for a server connection before that.
    pub queued: Latencies,
    /// What the values of those tell whose shape [has such](Shape::has_watched).
    pub values: ValueCounts,
}

/// The shapes that were executed.
pub(crate) struct Shapes {
    slots: RwLock<Slots<ShapeId, Mutex<ShapeSlot>, BuildHasherDefault<ShapeIdHasher>>>,
    other: Mutex<ShapeSlot>,
}

struct ShapeSlot {
    known: ShapeSnapshot,
    used_at: Instant,
}

impl Shapes {
    pub(crate) fn new(max: usize, now: Instant) -> Self {
        let other = Shape {
            id: ShapeId::OTHER,
            text: "(other)".into(),
            summary: "(other)".into(),
            kind: Kind::Unknown,
            reads: Box::default(),
            writes: Box::default(),
            functions: Box::default(),
            session: SessionEffect::unknown(),
            transaction: None,
            locks: false,
            hidden_writes: true,
            has_watched: false,
        };
        let other = Mutex::new(ShapeSlot::new(&Arc::new(other), now));
        Self {
            slots: RwLock::new(Slots::new(max)),
            other,
        }
    }

    /// Counts an execution that ended, or was lost (`None`). Allocates only for a new shape, and when
    /// a histogram grows.
    pub(crate) fn record(&self, shape: &Arc<Shape>, ended: &Ended) {
        if shape.id == ShapeId::OTHER {
            return lock(&self.other).record(ended);
        }
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&shape.id) {
            return lock(slot).record(ended);
        }
        drop(slots);
        self.record_new(shape, ended);
    }

    /// The shape `other` is the last, if it was needed.
    pub(crate) fn snapshots(&self) -> Vec<ShapeSnapshot> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let mut snapshots: Vec<_> = slots
            .iter()
            .map(|(_, slot)| lock(slot).known.clone())
            .collect();
        snapshots.sort_by_key(|snapshot| snapshot.shape.id);
        let other = lock(&self.other).known.clone();
        snapshots.extend((other.executions > 0).then_some(other));
        snapshots
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.slots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .evicted()
    }

    /// Calls back with the counts of each shape, without copying histograms.
    pub(crate) fn visit(&self, mut visit: impl FnMut(&ShapeSnapshot)) {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.iter().for_each(|(_, slot)| visit(&lock(slot).known));
        visit(&lock(&self.other).known);
    }

    fn record_new(&self, shape: &Arc<Shape>, ended: &Ended) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&shape.id) {
            return lock(slot).record(ended);
        }
        let mut slot = ShapeSlot::new(shape, ended.now);
        slot.record(ended);
        let mut other = lock(&self.other);
        let mut retire = |slot: Mutex<ShapeSlot>| {
            let slot = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
            other.known.merge(&slot.known);
        };
        if let Err(refused) = slots.admit(shape.id, Mutex::new(slot), ended.now, &mut retire) {
            retire(refused);
        }
    }
}

impl ShapeSlot {
    fn new(shape: &Arc<Shape>, now: Instant) -> Self {
        let known = ShapeSnapshot {
            shape: Arc::clone(shape),
            executions: 0,
            errors: 0,
            lost: 0,
            rows: 0,
            time: Latencies::new(),
            queued: Latencies::new(),
            values: ValueCounts::default(),
        };
        Self {
            known,
            used_at: now,
        }
    }

    fn record(&mut self, ended: &Ended) {
        self.used_at = ended.now;
        let known = &mut self.known;
        known.executions += 1;
        known.queued.record(ended.queued);
        if !ended.values.is_empty() {
            known.values.count(ended.values);
        }
        let Some((end, time)) = ended.end else {
            known.lost += 1;
            return;
        };
        known.errors += u64::from(end.sqlstate.is_some());
        known.rows = known.rows.saturating_add(end.rows);
        known.time.record(time);
    }
}

impl ShapeSnapshot {
    fn merge(&mut self, retired: &Self) {
        self.executions += retired.executions;
        self.errors += retired.errors;
        self.lost += retired.lost;
        self.rows = self.rows.saturating_add(retired.rows);
        self.time.merge(&retired.time);
        self.queued.merge(&retired.queued);
        self.values.merge(&retired.values);
    }
}

impl Entry for Mutex<ShapeSlot> {
    fn uses(&self) -> u64 {
        lock(self).known.executions
    }

    fn used_at(&self) -> Instant {
        lock(self).used_at
    }
}

/// Shape ids are small numbers that we gave ourselves; multiplying spreads them over the table.
#[derive(Default)]
pub(crate) struct ShapeIdHasher(u64);

impl Hasher for ShapeIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = (self.0 ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
