use super::*;
use crate::{Kind, ShapeId};

#[test]
fn an_empty_text_is_empty() {
    let statements = Statements::new(Limits::default());
    for text in ["", " ; ", "-- nothing", "/* nothing */"] {
        let shape = statements.learn(text).shape;
        assert_eq!((shape.kind, &*shape.text), (Kind::Empty, ""), "{text:?}");
        assert_ne!(shape.id, ShapeId::OTHER);
    }
}
