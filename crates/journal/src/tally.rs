//! Which statements a request repeats.

use std::sync::Arc;
use std::time::Duration;

use paceline_sql::{Kind, Relation, Shape, ShapeId};

use crate::recent::{Kept, Pin, Pins};
use crate::trace::RequestId;

/// Distinct shapes counted within one request. More than a loop over statements has.
const SHAPES_MAX: usize = 64;
/// Distinct parameter sets told apart for one shape within one request.
const SETS_MAX: usize = 64;
/// Candidates for the statement before a run.
const BEFORE_MAX: usize = 8;

/// What is known about one shape on one route. Only exactly attributed executions count.
#[derive(Debug, Clone)]
pub struct Repetition {
    /// Method and template.
    pub route: Arc<str>,
    /// The statement.
    pub shape: Arc<Shape>,
    /// Requests of the route, with this shape or without.
    pub route_requests: u64,
    /// Their time in all, as the gateway saw it.
    pub route_time: Duration,
    /// Requests that ran the shape.
    pub requests: u64,
    /// Executions in these.
    pub executions: u64,
    /// Time of these executions.
    pub time: Duration,
    /// Requests that ran it at least `repeat_min` times with at least as many distinct parameter sets.
    pub varied: Run,
    /// Of the others, requests that ran it at least `repeat_min` times with the very same parameters,
    /// and wrote nothing meanwhile that it reads.
    pub identical: Run,
    /// What part (0 to 1) of the route's database time is attributed exactly.
    pub exact_share: f64,
}

/// The requests in which a shape was repeated in one particular way.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// How many requests.
    pub requests: u64,
    /// The repeated executions in them.
    pub executions: u64,
    /// The time of these executions.
    pub time: Duration,
    /// The part of that time that is left when one execution does the work: per request, all but
    /// the average execution; with identical parameters, all but one of each set.
    pub time_spared: Duration,
    /// Most executions in one request.
    pub executions_max: u64,
    /// Most distinct parameter sets in one request, counted up to 64.
    pub distinct_max: u64,
    /// The statement that most often went before the first of the run.
    pub before: Option<Before>,
    /// The request with the most executions, or one of them.
    pub example: Option<RequestId>,
}

/// A statement that went before a run.
#[derive(Debug, Clone)]
pub struct Before {
    /// The statement.
    pub shape: Arc<Shape>,
    /// Before how many of the runs.
    pub requests: u64,
    /// Rows that it returned in all these.
    pub rows: u64,
}

/// Counts the shapes of one request while it is open, in the order of their first execution.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    tallies: Vec<Tally>,
    /// Executions that were not compared: of shape `other`, or beyond the limit of shapes.
    pub(crate) uncompared: u64,
}

/// One shape within one request.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) shape: Arc<Shape>,
    pub(crate) executions: u64,
    pub(crate) time: Duration,
    rows: u64,
    sets: Vec<Set>,
    /// Grows when something is written that the shape reads.
    epoch: u32,
}

/// One parameter set of one shape within one request.
#[derive(Debug)]
struct Set {
    parameters: u64,
    executions: u64,
    time: Duration,
    /// Executions since the last write that matters, and the most between two such.
    epoch: u32,
    row: u64,
    row_max: u64,
}

/// How a request repeated one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeats {
    Varied(Extent),
    Identical(Extent),
}

/// How much of it there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) executions: u64,
    pub(crate) time: Duration,
    pub(crate) time_spared: Duration,
    pub(crate) distinct: u64,
}

impl Tallies {
    /// Counts an execution that begins.
    pub(crate) fn begin(&mut self, shape: &Arc<Shape>, parameters: u64) {
        self.note_write(shape);
        if shape.id == ShapeId::OTHER {
            // It stands for many shapes, and they are not each other's repetition.
            self.uncompared += 1;
            return;
        }
        let index = match self.index(shape) {
            Some(index) => index,
            None if self.tallies.len() < SHAPES_MAX => {
                self.tallies.push(Tally::new(Arc::clone(shape)));
                self.tallies.len() - 1
            }
            None => {
                self.uncompared += 1;
                return;
            }
        };
        self.tallies[index].begin(parameters);
    }

    /// Completes it.
    pub(crate) fn finish(
        &mut self,
        shape: &Arc<Shape>,
        parameters: u64,
        time: Duration,
        rows: u64,
    ) {
        let Some(index) = self.index(shape) else {
            return;
        };
        let tally = &mut self.tallies[index];
        tally.time += time;
        tally.rows += rows;
        if let Some(set) = tally.set(parameters) {
            set.time += time;
        }
    }

    /// Takes back an execution that turns out not to be this request's alone.
    pub(crate) fn retract(&mut self, shape: &Arc<Shape>, parameters: u64) {
        let Some(index) = self.index(shape) else {
            return;
        };
        let tally = &mut self.tallies[index];
        tally.executions = tally.executions.saturating_sub(1);
        let Some(at) = tally
            .sets
            .iter()
            .position(|set| set.parameters == parameters)
        else {
            return;
        };
        let set = &mut tally.sets[at];
        set.executions -= 1;
        set.row = set.row.saturating_sub(1);
        set.row_max = set.row_max.min(set.executions);
        if set.executions == 0 {
            tally.sets.remove(at);
        }
    }

    /// The shapes that were executed, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Tally)> {
        self.tallies
            .iter()
            .enumerate()
            .filter(|(_, tally)| tally.executions > 0)
    }

    /// What went before the first execution of a shape: the last other statement that is not itself
    /// part of a loop, else the last one at all. Transaction control and the like say nothing.
    pub(crate) fn before(&self, index: usize, repeat_min: u32) -> Option<&Tally> {
        let telling = |tally: &&Tally| {
            tally.executions > 0
                && !matches!(
                    tally.shape.kind,
                    Kind::Transaction | Kind::Session | Kind::Empty
                )
        };
        let earlier = &self.tallies[..index];
        let single = |tally: &&Tally| telling(tally) && tally.repeats(repeat_min).is_none();
        let last = earlier.iter().rev().find(single);
        last.or_else(|| earlier.iter().rev().find(telling))
    }

    fn index(&self, shape: &Shape) -> Option<usize> {
        // The last one first: loops come back to what they just did.
        self.tallies
            .iter()
            .rposition(|tally| tally.shape.id == shape.id)
    }

    fn note_write(&mut self, shape: &Shape) {
        use Kind::{Copy, Ddl, Several, Unknown};
        let anything = matches!(shape.kind, Copy | Ddl | Several | Unknown);
        if !anything && shape.writes.is_empty() {
            return;
        }
        for tally in &mut self.tallies {
            let mut reads = tally.shape.reads.iter();
            if anything || reads.any(|read| may_be_among(read, &shape.writes)) {
                tally.epoch += 1;
            }
        }
    }
}

impl Tally {
    fn new(shape: Arc<Shape>) -> Self {
        Self {
            shape,
            executions: 0,
            time: Duration::ZERO,
            rows: 0,
            sets: Vec::new(),
            epoch: 0,
        }
    }

    /// Rows that it returned.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    fn begin(&mut self, parameters: u64) {
        self.executions += 1;
        let epoch = self.epoch;
        let full = self.sets.len() >= SETS_MAX;
        let Some(set) = self.set(parameters) else {
            if !full {
                self.sets.push(Set::new(parameters, epoch));
            }
            return;
        };
        set.executions += 1;
        set.row = if set.epoch == epoch { set.row + 1 } else { 1 };
        set.row_max = set.row_max.max(set.row);
        set.epoch = epoch;
    }

    fn set(&mut self, parameters: u64) -> Option<&mut Set> {
        self.sets
            .iter_mut()
            .find(|set| set.parameters == parameters)
    }

    /// Whether, and how, the request repeated the shape.
    pub(crate) fn repeats(&self, repeat_min: u32) -> Option<Repeats> {
        let min = u64::from(repeat_min);
        let distinct = self.sets.len() as u64;
        if self.executions >= min && distinct >= min {
            return Some(Repeats::Varied(Extent {
                executions: self.executions,
                time: self.time,
                time_spared: all_but(1, self.executions, self.time),
                distinct,
            }));
        }
        let again = self.sets.iter().filter(|set| set.row_max >= min);
        let nothing = Extent {
            executions: 0,
            time: Duration::ZERO,
            time_spared: Duration::ZERO,
            distinct: 0,
        };
        let extent = again.fold(nothing, |sum, set| {
            // What was read again after a write is not part of the run, nor is its time.
            let rereads = set.executions - set.row_max;
            let time = all_but(rereads, set.executions, set.time);
            Extent {
                executions: sum.executions + set.row_max,
                time: sum.time + time,
                time_spared: sum.time_spared + all_but(1, set.row_max, time),
                distinct: sum.distinct + 1,
            }
        });
        (extent.executions > 0).then_some(Repeats::Identical(extent))
    }
}

impl Set {
    fn new(parameters: u64, epoch: u32) -> Self {
        Self {
            parameters,
            executions: 1,
            time: Duration::ZERO,
            epoch,
            row: 1,
            row_max: 1,
        }
    }
}

/// The part of the time of `executions` that is left without `few` average ones.
fn all_but(few: u64, executions: u64, time: Duration) -> Duration {
    time.mul_f64(executions.saturating_sub(few) as f64 / executions.max(1) as f64)
}

/// Whether a relation may be one of those: a name without a schema may mean any of that name.
fn may_be_among(relation: &Relation, others: &[Relation]) -> bool {
    others.iter().any(|other| {
        let schemas = (&relation.schema, &other.schema);
        let same_schema = matches!(schemas, (Some(one), Some(two)) if one == two);
        relation.name == other.name && (same_schema || schemas.0.is_none() || schemas.1.is_none())
    })
}

/// What a route keeps of one shape.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) shape: Arc<Shape>,
    pub(crate) requests: u64,
    pub(crate) executions: u64,
    pub(crate) time: Duration,
    pub(crate) varied: Runs,
    pub(crate) identical: Runs,
}

/// The sum of one sort of run, and which statements went before.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    run: Run,
    before: Vec<Before>,
    example: Option<Pin>,
}

impl Pair {
    pub(crate) fn new(shape: Arc<Shape>) -> Self {
        Self {
            shape,
            requests: 0,
            executions: 0,
            time: Duration::ZERO,
            varied: Runs::default(),
            identical: Runs::default(),
        }
    }

    /// Adds what one request did.
    pub(crate) fn add(
        &mut self,
        tallies: &Tallies,
        index: usize,
        repeat_min: u32,
        request: &Arc<Kept>,
        pins: &Pins,
    ) {
        let tally = &tallies.tallies[index];
        self.requests += 1;
        self.executions += tally.executions;
        self.time += tally.time;
        let (runs, extent) = match tally.repeats(repeat_min) {
            None => return,
            Some(Repeats::Varied(extent)) => (&mut self.varied, extent),
            Some(Repeats::Identical(extent)) => (&mut self.identical, extent),
        };
        runs.add(extent, tallies.before(index, repeat_min), request, pins);
    }

    /// The request of that name, if it is kept as an example here.
    pub(crate) fn example(&self, id: &RequestId) -> Option<Arc<Kept>> {
        let examples = [&self.varied.example, &self.identical.example];
        let found = examples.into_iter().flatten().map(Pin::request);
        found
            .filter(|kept| kept.record.summary.id == *id)
            .map(Arc::clone)
            .next()
    }
}

impl Runs {
    fn add(&mut self, extent: Extent, before: Option<&Tally>, request: &Arc<Kept>, pins: &Pins) {
        let run = &mut self.run;
        run.requests += 1;
        run.executions += extent.executions;
        run.time += extent.time;
        run.time_spared += extent.time_spared;
        run.distinct_max = run.distinct_max.max(extent.distinct);
        if extent.executions > run.executions_max {
            run.executions_max = extent.executions;
            run.example = Some(request.record.summary.id);
            // Let the old one go first, so that there is room for the new one.
            self.example = None;
            self.example = pins.pin(request);
        }
        if let Some(tally) = before {
            self.note_before(tally);
        }
    }

    /// Counts the most frequent; a newcomer takes the place of the rarest and its count with it, so
    /// that a truly frequent one always comes through (the space-saving algorithm).
    fn note_before(&mut self, tally: &Tally) {
        if let Some(known) = self
            .before
            .iter_mut()
            .find(|known| known.shape.id == tally.shape.id)
        {
            known.requests += 1;
            known.rows += tally.rows();
            return;
        }
        let newcomer = |requests| Before {
            shape: Arc::clone(&tally.shape),
            requests,
            rows: tally.rows(),
        };
        if self.before.len() < BEFORE_MAX {
            self.before.push(newcomer(1));
        } else if let Some(rarest) = self.before.iter_mut().min_by_key(|known| known.requests) {
            *rarest = newcomer(rarest.requests + 1);
        }
    }

    pub(crate) fn snapshot(&self) -> Run {
        let before = self
            .before
            .iter()
            .max_by_key(|known| known.requests)
            .cloned();
        Run {
            before,
            ..self.run.clone()
        }
    }
}
