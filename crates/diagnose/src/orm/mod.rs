//! Remedies in the words of the library that wrote the statement.

mod style;

pub(crate) use style::{Author, author};

use paceline_sql::{Kind, lookups};

/// Libraries that write statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    SqlAlchemy,
    Django,
    Rails,
    Hibernate,
    Prisma,
    Sequelize,
    TypeOrm,
    Gorm,
    Diesel,
    SeaOrm,
    Laravel,
}

/// What a loop of statements is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Rows are fetched by their primary key: each parent has one.
    FetchOne,
    /// Rows are fetched by a key that refers to others: each parent has many.
    FetchMany,
    Insert,
    Update,
    Delete,
}

/// How it is done, by the order of [`Library`] and that of [`Task`]. `Parent` stands for what the loop went over, `Child` for what
/// each turn touched.
const IDIOMS: [[&str; 5]; 11] = [
    // SqlAlchemy
    [
        "`select(Parent).options(joinedload(Parent.child))`; `raiseload(\"*\")` shows what is still lazy",
        "`select(Parent).options(selectinload(Parent.children))`; `raiseload(\"*\")` shows what is still lazy",
        "`session.add_all(children)` and one flush behind the loop, not one in each turn; or `session.execute(insert(Child), rows)`",
        "one flush behind the loop, or `session.execute(update(Child), rows)`: sent together; the statement above is one",
        "`session.execute(delete(Child).where(Child.id.in_(ids)))`",
    ],
    // Django
    [
        "`Parent.objects.select_related(\"child\")`",
        "`Parent.objects.prefetch_related(\"children\")`",
        "`Child.objects.bulk_create(children)`",
        "`Child.objects.bulk_update(children, [\"field\"])`",
        "`Child.objects.filter(id__in=ids).delete()`",
    ],
    // Rails
    [
        "`Parent.includes(:child)`; `strict_loading` shows what is still lazy",
        "`Parent.includes(:children)`; `strict_loading` shows what is still lazy",
        "`Child.insert_all(rows)`: without callbacks and validations",
        "`Child.upsert_all(rows)`; `update_all` where all get the same values",
        "`Child.where(id: ids).delete_all`",
    ],
    // Hibernate
    [
        "`SELECT p FROM Parent p JOIN FETCH p.child`, or an `@EntityGraph`",
        "`@BatchSize(size = 100)` on the collection, or `JOIN FETCH` (not with pages: it then reads all rows)",
        "`hibernate.jdbc.batch_size=50`, `order_inserts=true`, ids from a sequence (IDENTITY turns batches off), \
                 and `reWriteBatchedInserts=true` in the JDBC URL",
        "`hibernate.jdbc.batch_size=50` and `order_updates=true`",
        "`DELETE FROM Child c WHERE c.id IN :ids`",
    ],
    // Prisma
    [
        "`parent.findMany({ include: { child: true } })`",
        "`parent.findMany({ include: { children: true } })`",
        "`child.createMany({ data: rows })`",
        "`$executeRaw` with the statement above; `$transaction([…])` still sends one for each row",
        "`child.deleteMany({ where: { id: { in: ids } } })`",
    ],
    // Sequelize
    [
        "`Parent.findAll({ include: Child })`",
        "`Parent.findAll({ include: { model: Child, separate: true } })`",
        "`Child.bulkCreate(rows)`",
        "`Child.bulkCreate(rows, { updateOnDuplicate: [\"field\"] })`",
        "`Child.destroy({ where: { id: ids } })`",
    ],
    // TypeOrm
    [
        "`parents.find({ relations: { child: true } })`",
        "`parents.find({ relations: { children: true }, relationLoadStrategy: \"query\" })`",
        "`children.insert(rows)`",
        "`children.upsert(rows, [\"id\"])`",
        "`children.delete(ids)`",
    ],
    // Gorm
    [
        "`db.Joins(\"Child\").Find(&parents)`",
        "`db.Preload(\"Children\").Find(&parents)`",
        "`db.CreateInBatches(&children, 500)`",
        "`db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&children)`",
        "`db.Delete(&Child{}, ids)`",
    ],
    // Diesel
    [
        "`parents::table.inner_join(children::table)`",
        "`Child::belonging_to(&parents).load(conn)?.grouped_by(&parents)`",
        "`insert_into(children::table).values(&rows)`",
        "`sql_query` with the statement above",
        "`delete(children::table.filter(children::id.eq_any(ids)))`",
    ],
    // SeaOrm
    [
        "`Parent::find().find_also_related(Child)`",
        "`parents.load_many(Child, db)`",
        "`Child::insert_many(rows)`",
        "`Statement::from_sql_and_values` with the statement above",
        "`Child::delete_many().filter(child::Column::Id.is_in(ids))`",
    ],
    // Laravel
    [
        "`Parent::with('child')->get()`; `Model::preventLazyLoading()` shows the rest",
        "`Parent::with('children')->get()`; `Model::preventLazyLoading()` shows the rest",
        "`Child::insert($rows)`",
        "`Child::upsert($rows, ['id'])`",
        "`Child::whereIn('id', $ids)->delete()`",
    ],
];

impl Task {
    /// What the statement does, if a library has a word for doing it to many.
    pub(crate) fn of(kind: Kind, text: &str) -> Option<Self> {
        match kind {
            Kind::Select if lookups(text).iter().any(|lookup| lookup.column == "id") => {
                Some(Self::FetchOne)
            }
            Kind::Select => Some(Self::FetchMany),
            Kind::Insert => Some(Self::Insert),
            Kind::Update => Some(Self::Update),
            Kind::Delete => Some(Self::Delete),
            _ => None,
        }
    }
}

impl Library {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SqlAlchemy => "SQLAlchemy",
            Self::Django => "Django",
            Self::Rails => "Rails",
            Self::Hibernate => "Hibernate",
            Self::Prisma => "Prisma",
            Self::Sequelize => "Sequelize",
            Self::TypeOrm => "TypeORM",
            Self::Gorm => "GORM",
            Self::Diesel => "Diesel",
            Self::SeaOrm => "SeaORM",
            Self::Laravel => "Laravel",
        }
    }

    /// How it is done with this library.
    pub(crate) fn idiom(self, task: Task) -> &'static str {
        IDIOMS[self as usize][task as usize]
    }
}

impl Author {
    /// The library's name, if it is sure.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Known(orm) => Some(orm.name()),
            Self::OneOf(_) | Self::Hand => None,
        }
    }
}

/// The remedy in the words of whoever wrote the statement. `None` when it was written by hand, or nobody has a word for it.
pub(crate) fn advice(author: Author, task: Option<Task>) -> Option<String> {
    let task = task?;
    let one = |orm: &Library| format!("{}: {}", orm.name(), orm.idiom(task));
    match author {
        Author::Hand => None,
        Author::Known(orm) => Some(format!("written by {}", one(&orm))),
        Author::OneOf(orms) => {
            let all: Vec<_> = orms.iter().map(one).collect();
            Some(format!("perhaps written by {}", all.join("; or by ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_has_its_own_words() {
        let rows = [
            (Library::SqlAlchemy, Task::FetchMany, "selectinload"),
            (Library::Django, Task::Update, "bulk_update"),
            (Library::Rails, Task::Insert, "insert_all"),
            (Library::Hibernate, Task::FetchMany, "@BatchSize"),
            (Library::Prisma, Task::FetchOne, "include:"),
            (Library::Sequelize, Task::Delete, "destroy("),
            (Library::TypeOrm, Task::FetchOne, "relations:"),
            (Library::Gorm, Task::FetchMany, "Preload("),
            (Library::Diesel, Task::FetchMany, "belonging_to"),
            (Library::SeaOrm, Task::Insert, "insert_many"),
            (Library::Laravel, Task::Delete, "whereIn"),
        ];
        for (library, task, word) in rows {
            let idiom = library.idiom(task);
            assert!(idiom.contains(word), "{}: {idiom}", library.name());
        }
    }
}
