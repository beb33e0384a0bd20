//! What the fuzzer checks, shared with `tests/fuzz_seeds.rs`.

use paceline_sql::{
    Kind, Limits, ShapeId, Statements, Understanding, WatchedParameter, batch_form, keyset_form,
    range_form, strip_comment, structure, union_form,
};

/// Longer texts only make the fuzzer slow.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Reads a text as a statement in every way there is.
///
/// # Panics
///
/// When the crate contradicts itself.
pub(crate) fn run(data: &[u8]) {
    let data = &data[..data.len().min(TEXT_BYTES_MAX)];
    // A text on the wire ends at its first zero byte.
    let data = data.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(data);

    let stripped = strip_comment(&text);
    assert!(
        text.contains(&*stripped.text),
        "what is left is a piece of the text"
    );
    if stripped.comment.is_none() {
        assert_eq!(stripped.text, text);
    }

    let statements = Statements::new(Limits {
        entries_max: 8,
        ..Limits::default()
    });
    let whole = statements.learn(&text);
    let rest = statements.learn(&stripped.text);
    // Only a comment, white space and semicolons were taken off.
    assert_eq!(whole.shape.kind, rest.shape.kind, "{text:?}");
    assert_eq!(whole.shape.writes, rest.shape.writes);
    assert_eq!(whole.shape.session, rest.shape.session);

    match statements.understand(&stripped.text) {
        Understanding::Known(again) => {
            assert_eq!(again.shape.text, rest.shape.text);
            assert_eq!(again.literals, rest.literals);
        }
        Understanding::NeedsParse => assert!(stripped.text.len() > 16 * 1024 || evicted(&rest)),
    }
    let fresh = Statements::new(Limits {
        entries_max: 8,
        ..Limits::default()
    })
    .learn(&stripped.text);
    assert_eq!(fresh.shape.text, rest.shape.text);

    let shape = &rest.shape;
    if shape.kind == Kind::Unknown {
        assert!(shape.hidden_writes && shape.session.is_unknown());
    }
    if shape.id != ShapeId::OTHER && shape.kind == Kind::Select {
        assert!(shape.text.len() <= 16 * 1024);
        // The text for people is a statement again, or has a placeholder where the grammar wants a literal.
        let again = statements.learn(&shape.text).shape;
        if again.kind == Kind::Select {
            assert_eq!(again.text, shape.text);
        }
    }
    // A refused text can have a shape whose text is not refused: what was wrong was in a literal.
    let form = batch_form(&shape.text).filter(|_| shape.kind != Kind::Unknown);
    if let Some(form) = form {
        let batched = statements.learn(&form.text).shape;
        assert_eq!(batched.kind, shape.kind, "{}", form.text);
        assert_eq!(batched.writes, shape.writes);
    }
    structure(&shape.text);
    let rewritten = [
        keyset_form(&shape.text).map(|form| form.text),
        union_form(&shape.text).map(|form| form.text),
        range_form(&shape.text),
    ];
    for text in rewritten.into_iter().flatten() {
        let again = statements.learn(&text).shape;
        assert_eq!(again.kind, Kind::Select, "{text}");
        assert_eq!(again.reads, shape.reads, "{text}");
    }
    let values = rest.watched.values(|number| {
        (number % 2 == 0).then_some(WatchedParameter {
            bytes: data,
            is_binary: number % 3 == 0,
        })
    });
    assert!(values.is_empty() || shape.has_watched, "{text:?}");
}

/// A cache may decline to keep an entry, but not one of these few.
fn evicted(statement: &paceline_sql::Statement) -> bool {
    statement.shape.id == ShapeId::OTHER
}
