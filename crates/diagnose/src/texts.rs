//! The texts of statements, wherever they come from: the traffic of an instance, or pg_stat_statements.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use paceline_catalogue::Snapshot;
use paceline_journal::{Journal, ShapeSnapshot, ValueCounts};
use paceline_sql::{Kind, Limits, Shape, ShapeId, Statements, Structure, structure};

use crate::rule::Material;
use crate::rules::is_the_applications;

/// So many are looked at, those first that took most time.
const TEXTS_MAX: usize = 500;

/// Statements of the application, with what is known of their executions, the one that took most time first.
#[derive(Debug, Default)]
pub struct Texts<'a> {
    /// The statements.
    pub list: Vec<Text>,
    /// What the database has said of itself, if it was asked.
    pub database: Option<&'a Snapshot>,
}

/// One statement, without its values.
#[derive(Debug)]
pub struct Text {
    /// What is known from its text.
    pub shape: Arc<Shape>,
    /// How often it was executed.
    pub executions: u64,
    /// For how long in all.
    pub time_ms: f64,
    /// What its executions have returned.
    pub rows: u64,
    /// What their values tell. Only traffic does.
    pub values: ValueCounts,
    /// The routes that execute it, the one first that spends most time in it. Only traffic tells.
    pub uses: Vec<Use>,
    structure: OnceCell<Option<Structure>>,
}

/// How one route uses one statement.
#[derive(Debug, Clone)]
pub struct Use {
    /// Method and template.
    pub route: Arc<str>,
    /// Requests of the route that executed it.
    pub requests: u64,
    /// Executions in these.
    pub executions: u64,
    /// The time of these.
    pub time_ms: f64,
    /// The time of all requests of the route.
    pub route_time_ms: f64,
    /// Bytes of an answer of the route, on average.
    pub answer_bytes: f64,
}

impl Texts<'_> {
    /// All that the material has.
    pub(crate) fn of<'a>(material: &Material<'a>) -> Texts<'a> {
        let mut list = material.journal.map_or_else(Vec::new, of_journal);
        let known: HashSet<Box<str>> = list.iter().map(|one| one.shape.text.clone()).collect();
        if let Some(database) = material.database {
            let counted = of_database(database).into_iter();
            list.extend(counted.filter(|one| !known.contains(&one.shape.text)));
        }
        list.sort_by(|one, two| two.time_ms.total_cmp(&one.time_ms));
        list.truncate(TEXTS_MAX);
        Texts {
            list,
            database: material.database,
        }
    }
}

impl Text {
    fn new(shape: Arc<Shape>, executions: u64, time_ms: f64, rows: u64) -> Self {
        Self {
            shape,
            executions,
            time_ms,
            rows,
            values: ValueCounts::default(),
            uses: Vec::new(),
            structure: OnceCell::new(),
        }
    }

    /// What the text is made of.
    pub fn structure(&self) -> Option<&Structure> {
        let structure = self.structure.get_or_init(|| structure(&self.shape.text));
        structure.as_ref()
    }

    /// What one execution takes.
    pub fn mean_ms(&self) -> f64 {
        self.time_ms / self.executions.max(1) as f64
    }

    /// What one execution returns.
    pub fn mean_rows(&self) -> f64 {
        self.rows as f64 / self.executions.max(1) as f64
    }
}

fn of_journal(journal: &Journal) -> Vec<Text> {
    let answers: HashMap<Arc<str>, f64> = journal
        .routes()
        .into_iter()
        .map(|route| {
            let bytes = route.response_bytes as f64 / route.requests.max(1) as f64;
            (route.route, bytes)
        })
        .collect();
    let mut uses: HashMap<ShapeId, Vec<Use>> = HashMap::new();
    for one in journal.repetitions() {
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1_000.0;
        uses.entry(one.shape.id).or_default().push(Use {
            answer_bytes: answers.get(&one.route).copied().unwrap_or(0.0),
            requests: one.requests,
            executions: one.executions,
            time_ms: ms(one.time),
            route_time_ms: ms(one.route_time),
            route: one.route,
        });
    }
    let texts = journal.shapes().into_iter();
    let texts = texts.filter(|one| is_looked_at(&one.shape));
    texts
        .map(|snapshot| {
            let mut uses = uses.remove(&snapshot.shape.id).unwrap_or_default();
            uses.sort_by(|one, two| two.time_ms.total_cmp(&one.time_ms));
            Text {
                values: snapshot.values.clone(),
                uses,
                ..of_shape(&snapshot)
            }
        })
        .collect()
}

fn of_shape(snapshot: &ShapeSnapshot) -> Text {
    let time_ms = snapshot.time.sum().as_secs_f64() * 1_000.0;
    Text::new(
        Arc::clone(&snapshot.shape),
        snapshot.executions,
        time_ms,
        snapshot.rows,
    )
}

fn of_database(database: &Snapshot) -> Vec<Text> {
    let shapes = Statements::new(Limits::default());
    let counted = database.statements.iter().flat_map(|one| &one.list);
    let texts = counted.map(|one| {
        let shape = shapes.learn(&one.text).shape;
        Text::new(shape, one.calls, one.total_ms, one.rows)
    });
    texts.filter(|one| is_looked_at(&one.shape)).collect()
}

/// Whether it is a statement of the application on rows.
fn is_looked_at(shape: &Shape) -> bool {
    let is_query = matches!(
        shape.kind,
        Kind::Select | Kind::Insert | Kind::Update | Kind::Delete
    );
    let has_tables = !shape.reads.is_empty() || !shape.writes.is_empty();
    is_query && has_tables && shape.id != ShapeId::OTHER && is_the_applications(shape)
}
