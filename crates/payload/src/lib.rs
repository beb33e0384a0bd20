//! What a body is made of, told while it streams by.
//!
//! A [`Look`] reads JSON piece by piece and keeps [`Figures`] about it: how many values are null, how deep it nests, how long
//! its lists are. It builds no tree, keeps no value, and its memory does not depend on the body. A [`Digest`] tells whether two
//! bodies are the same. Both give the same result wherever the pieces are cut.
//!
//! ```
//! use paceline_payload::Look;
//!
//! let mut look = Look::default();
//! look.push(br#"{"jobs": [{"id": 1, "boss": nu"#);
//! look.push(br#"ll}]}"#);
//! let figures = look.figures().expect("JSON");
//! assert_eq!((figures.members, figures.nulls, figures.list_length), (3, 1, 1));
//! ```
#![warn(missing_docs)]

mod digest;
mod fields;
mod figures;
mod json;
mod number;

pub use digest::Digest;
pub use figures::Figures;
pub use json::{DEPTH_MAX, Look};
