//! Who wrote a statement, by its style.
//!
//! Libraries have hands of their own: what they quote, how they name aliases and columns. A name is given only where one of
//! them writes so and the others do not; else the few that do.

use super::Library;

/// Who wrote a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// Nobody else writes so.
    Known(Library),
    /// These write so, the likeliest first.
    OneOf(&'static [Library]),
    /// Somebody by hand, or a library that writes as people do.
    Hand,
}

/// Who wrote a statement, given the text of its shape.
pub(crate) fn author(text: &str) -> Author {
    if has_cast_parameters_only(text) && !text.contains('"') {
        return Author::Known(Library::SqlAlchemy);
    }
    match text.split(' ').next() {
        Some("SELECT") => of_select(text),
        Some("INSERT") => of_insert(text),
        Some("UPDATE" | "DELETE") if names_three_parts(text) => Author::Known(Library::Prisma),
        Some("UPDATE" | "DELETE") if text.contains('"') => {
            Author::OneOf(&[Library::Rails, Library::Django, Library::Gorm])
        }
        _ => Author::Hand,
    }
}

fn of_select(text: &str) -> Author {
    let Some((list, rest)) = select_list(text) else {
        return Author::Hand;
    };
    let items = split_list(list);
    let all = |is_one: fn(&str) -> bool| items.iter().all(|item| is_one(item));
    let any = |is_one: fn(&str) -> bool| items.iter().any(|item| is_one(item));
    if all(is_typeorm_item) {
        Author::Known(Library::TypeOrm)
    } else if all(is_labelled_item) {
        Author::Known(Library::SqlAlchemy)
    } else if any(is_hibernate_item) {
        Author::Known(Library::Hibernate)
    } else if items.len() == 1 && is_quoted_star(items[0]) {
        Author::Known(Library::Rails)
    } else if all(|item| quoted_parts(item) == Some(3)) {
        if rest.contains(" OFFSET ") {
            Author::Known(Library::Prisma)
        } else {
            Author::OneOf(&[Library::Prisma])
        }
    } else if has_quoted_alias(rest) && all(|item| item.starts_with('"')) {
        Author::Known(Library::Sequelize)
    } else if all(|item| quoted_parts(item) == Some(2)) {
        if is_one_condition_in_parentheses(rest) {
            Author::Known(Library::Diesel)
        } else {
            Author::OneOf(&[Library::Django, Library::SeaOrm])
        }
    } else if items == ["*"] && rest.starts_with('"') {
        Author::OneOf(&[Library::Gorm, Library::Laravel])
    } else {
        Author::Hand
    }
}

fn of_insert(text: &str) -> Author {
    let into = text.trim_start_matches("INSERT INTO ");
    if !into.starts_with('"') {
        return Author::Hand;
    }
    let returned = text.split_once(" RETURNING ").map(|(_, list)| list);
    let returned = returned.map(|list| {
        split_list(list)
            .iter()
            .all(|item| item.matches('.').count() == 1)
    });
    if names_three_parts(text) || into.starts_with("\"public\".\"") {
        Author::Known(Library::Prisma)
    } else if text.contains(" VALUES (DEFAULT,") {
        Author::OneOf(&[Library::Sequelize, Library::TypeOrm])
    } else if returned == Some(true) {
        Author::OneOf(&[Library::Django, Library::Diesel])
    } else {
        Author::OneOf(&[Library::Rails, Library::Gorm, Library::Django])
    }
}

/// The select list, and what follows its FROM.
fn select_list(text: &str) -> Option<(&str, &str)> {
    let (list, rest) = text.strip_prefix("SELECT ")?.split_once(" FROM ")?;
    Some((list.strip_prefix("DISTINCT ").unwrap_or(list), rest))
}

/// A list by its commas outside of parentheses.
fn split_list(list: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                items.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(list[start..].trim());
    items
}

/// SQLAlchemy's drivers that send parameters apart say their types: `$1::INTEGER`. Hardly anybody does so each time.
fn has_cast_parameters_only(text: &str) -> bool {
    let mut parameters = text.split('$').skip(1).peekable();
    let is_cast = |rest: &str| {
        let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        behind.starts_with("::")
    };
    parameters.peek().is_some() && parameters.all(is_cast)
}

/// `products.id AS products_id`.
fn is_labelled_item(item: &str) -> bool {
    let Some((column, label)) = item.split_once(" AS ") else {
        return false;
    };
    column.contains('.') && !column.contains('"') && column.replace('.', "_") == label
}

/// `"User"."id" AS "User_id"`.
fn is_typeorm_item(item: &str) -> bool {
    let Some((column, label)) = item.split_once(" AS ") else {
        return false;
    };
    quoted_parts(column) == Some(2) && column.replace("\".\"", "_") == label
}

/// `j1_0.id` (6), `job0_.id AS id1_0_` (5).
fn is_hibernate_item(item: &str) -> bool {
    let Some((alias, _)) = item.split_once('.') else {
        return false;
    };
    let Some((start, end)) = alias.rsplit_once('_') else {
        return false;
    };
    let numbered = start.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_plain = alias
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_plain
        && numbered.len() < start.len()
        && !numbered.is_empty()
        && (end == "0" || end.is_empty() && item.contains(" AS "))
}

/// `"users".*`. An alias with a number (`"u0".*`) is another library's.
fn is_quoted_star(item: &str) -> bool {
    let name = item
        .strip_prefix('"')
        .and_then(|item| item.strip_suffix("\".*"));
    name.is_some_and(|name| !name.contains('"') && !name.ends_with(|c: char| c.is_ascii_digit()))
}

/// How many quoted names are put together by dots; `None` when there is anything else.
fn quoted_parts(item: &str) -> Option<usize> {
    let inner = item.strip_prefix('"')?.strip_suffix('"')?;
    let parts: Vec<_> = inner.split("\".\"").collect();
    parts
        .iter()
        .all(|part| !part.contains('"'))
        .then_some(parts.len())
}

fn names_three_parts(text: &str) -> bool {
    let is_name = |c: char| !c.is_whitespace() && !matches!(c, '(' | ')' | ',');
    text.split(|c: char| !is_name(c))
        .any(|word| quoted_parts(word) == Some(3))
}

/// `"Users" AS "User" …`.
fn has_quoted_alias(rest: &str) -> bool {
    let mut words = rest.split(' ');
    let mut next_is_quoted = || {
        words
            .next()
            .is_some_and(|word| quoted_parts(word).is_some())
    };
    next_is_quoted() && rest.split(' ').nth(1) == Some("AS") && {
        let alias = rest.split(' ').nth(2).unwrap_or_default();
        quoted_parts(alias) == Some(1)
            && !alias
                .trim_end_matches('"')
                .ends_with(|c: char| c.is_ascii_digit())
    }
}

/// `"users" WHERE ("users"."id" = $1)`, and no AND.
fn is_one_condition_in_parentheses(rest: &str) -> bool {
    rest.split_once(" WHERE (").is_some_and(|(_, condition)| {
        condition.starts_with('"') && !condition.contains(" AND ") && !condition.contains(" OR ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Author::{Hand, Known, OneOf};

    #[test]
    fn libraries_are_known_by_their_hand() {
        let rows: &[(&str, Author)] = &[
            // As the libraries write them, laid out as a shape's text.
            (
                "SELECT brands.code AS brands_code, brands.name AS brands_name FROM brands WHERE brands.code = $1",
                Known(Library::SqlAlchemy),
            ),
            (
                "SELECT brands.code, brands.name FROM brands WHERE brands.code = $1::varchar",
                Known(Library::SqlAlchemy),
            ),
            (
                "INSERT INTO cart_items (cart_id, product_id) VALUES ($1::uuid, $2::integer)",
                Known(Library::SqlAlchemy),
            ),
            (
                "UPDATE stock SET quantity = (stock.quantity + $1::integer) WHERE stock.product_id = $2::integer",
                Known(Library::SqlAlchemy),
            ),
            (
                "SELECT \"jobs_job\".\"id\", \"jobs_job\".\"title\" FROM \"jobs_job\" WHERE \"jobs_job\".\"id\" = $1 LIMIT $2",
                OneOf(&[Library::Django, Library::SeaOrm]),
            ),
            (
                "INSERT INTO \"jobs_job\" (\"title\") VALUES ($1) RETURNING \"jobs_job\".\"id\"",
                OneOf(&[Library::Django, Library::Diesel]),
            ),
            (
                "SELECT \"users\".* FROM \"users\" WHERE \"users\".\"id\" = $1 LIMIT $2",
                Known(Library::Rails),
            ),
            (
                "INSERT INTO \"users\" (\"name\", \"created_at\") VALUES ($1, $2) RETURNING \"id\"",
                OneOf(&[Library::Rails, Library::Gorm, Library::Django]),
            ),
            (
                "SELECT j1_0.id, j1_0.title FROM job j1_0 WHERE j1_0.company_id = $1",
                Known(Library::Hibernate),
            ),
            (
                "SELECT job0_.id AS id1_0_0_, job0_.title AS title2_0_0_ FROM job AS job0_ WHERE job0_.id = $1",
                Known(Library::Hibernate),
            ),
            (
                "SELECT \"public\".\"User\".\"id\", \"public\".\"User\".\"name\" FROM \"public\".\"User\" \
                 WHERE (\"public\".\"User\".\"id\" = $1 AND $2 = $3) LIMIT $4 OFFSET $5",
                Known(Library::Prisma),
            ),
            (
                "UPDATE \"public\".\"User\" SET \"name\" = $1 WHERE (\"public\".\"User\".\"id\" = $2 AND $3 = $4)",
                Known(Library::Prisma),
            ),
            (
                "SELECT \"id\", \"name\" FROM \"Users\" AS \"User\" WHERE \"User\".\"id\" = $1",
                Known(Library::Sequelize),
            ),
            (
                "INSERT INTO \"Users\" (\"id\", \"name\") VALUES (DEFAULT, $1) RETURNING \"id\", \"name\"",
                OneOf(&[Library::Sequelize, Library::TypeOrm]),
            ),
            (
                "SELECT \"User\".\"id\" AS \"User_id\", \"User\".\"name\" AS \"User_name\" FROM \"user\" \"User\" WHERE \"User\".\"id\" = $1",
                Known(Library::TypeOrm),
            ),
            (
                "SELECT * FROM \"users\" WHERE \"users\".\"id\" = $1",
                OneOf(&[Library::Gorm, Library::Laravel]),
            ),
            (
                "SELECT \"users\".\"id\", \"users\".\"name\" FROM \"users\" WHERE (\"users\".\"id\" = $1)",
                Known(Library::Diesel),
            ),
            // Other hands: Ecto, MikroORM, Entity Framework, and people's.
            (
                "SELECT u0.\"id\", u0.\"name\" FROM \"users\" AS u0 WHERE (u0.\"id\" = $1)",
                Hand,
            ),
            (
                "SELECT \"u0\".* FROM \"users\" AS \"u0\" WHERE \"u0\".\"id\" = $1",
                Hand,
            ),
            (
                "SELECT u.\"Id\", u.\"Name\" FROM \"Users\" AS u WHERE u.\"Id\" = $1",
                Hand,
            ),
            ("SELECT * FROM companies WHERE id = $1", Hand),
            (
                "SELECT c.name AS company FROM companies AS c WHERE c.id = $1",
                Hand,
            ),
            ("SELECT name FROM t WHERE a = $1::integer AND b = $2", Hand),
            ("SELECT now()", Hand),
            ("INSERT INTO t (a) VALUES ($1)", Hand),
            ("UPDATE t SET a = $1 WHERE id = $2", Hand),
        ];
        for (text, expected) in rows {
            assert_eq!(author(text), *expected, "{text}");
        }
    }
}
