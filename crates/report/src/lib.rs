//! Measurements and findings as one HTML page: a verdict, numbers before and after with their intervals, plots, findings,
//! grades, and how all that was measured.
//!
//! The page needs nothing but itself: no script, no font, no picture from elsewhere; it opens from disk without network.
//! Whatever comes from outside (names of routes, statements) is escaped. This crate knows no other: whoever has something
//! to report fills in a [`Report`], which is plain data, and [`html`] writes it down.
//!
//! ```
//! use paceline_report::{Report, Tone, Verdict, html};
//!
//! let page = html(&Report {
//!     title: "Job board".to_owned(),
//!     verdict: Verdict { tone: Tone::Good, text: "p95 halved.".to_owned(), ..Verdict::default() },
//!     ..Report::default()
//! });
//! assert!(page.starts_with("<!doctype html>"));
//! ```
#![warn(missing_docs)]

mod change;
mod data;
mod escape;
mod number;
mod page;
mod plot;
mod verdict;

pub use change::{Direction, change};
pub use data::{
    Better, Comparison, Criterion, Distribution, Fact, Figure, Finding, Fix, Grade, Measure, Next,
    QuickWin, Report, Route, Severity, Side, Tone, Unit, Value, Verdict,
};
pub use page::html;
pub use verdict::judge;
