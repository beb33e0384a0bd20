//! Stage 2: what a text does.

use std::borrow::Cow;
use std::sync::Arc;

use paceline_journal::TraceParent;
use paceline_sql::{Statement, Statements, Stripped, Understanding, strip_comment};

use super::deallocate::names_deallocated;
use super::{End, Session, Stall};
use crate::client::{Prepared, Source};

/// Texts above this are parsed on a thread of their own: the parser takes about 100 ns for a byte.
pub(super) const INLINE_BYTES_MAX: usize = 32 * 1024;

/// A text as it came, and without its trace comment.
pub(crate) struct Text<'t> {
    bytes: &'t [u8],
    stripped: Cow<'t, str>,
    is_utf8: bool,
    pub(crate) trace: Option<TraceParent>,
}

impl<'t> Text<'t> {
    /// Takes the trace comment off. A text that is not UTF-8 is read as far as it goes, and forwarded as it is.
    pub(crate) fn new(bytes: &'t [u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else {
            let stripped = String::from_utf8_lossy(bytes);
            return Self {
                bytes,
                stripped,
                is_utf8: false,
                trace: None,
            };
        };
        let Stripped { text, comment } = strip_comment(text);
        let trace = comment.and_then(|comment| TraceParent::parse(&comment.traceparent?));
        Self {
            bytes,
            stripped: text,
            is_utf8: true,
            trace,
        }
    }

    /// The text without its trace comment.
    pub(crate) fn stripped(&self) -> &str {
        &self.stripped
    }

    /// Its length without the trace comment.
    pub(crate) fn len(&self) -> usize {
        self.stripped.len()
    }

    /// What the server gets.
    pub(super) fn forwarded(&self, with_comment: bool) -> &[u8] {
        if with_comment || !self.is_utf8 {
            self.bytes
        } else {
            self.stripped.as_bytes()
        }
    }
}

/// What a text means; parses it when it is new.
pub(crate) fn meaning(shapes: &Statements, text: &Text<'_>) -> Statement {
    match shapes.understand(&text.stripped) {
        Understanding::Known(statement) => statement,
        Understanding::NeedsParse => shapes.learn(&text.stripped),
    }
}

impl Session {
    /// What the server gets of this text.
    pub(super) fn forwarded<'a>(&self, text: &'a Text<'_>) -> &'a [u8] {
        text.forwarded(self.worker.proxy.fixed.forward_trace_comment)
    }

    /// A huge text has to be parsed elsewhere first.
    pub(super) fn must_learn(&self, text: &Text<'_>) -> Option<Stall> {
        let is_huge = text.stripped.len() > INLINE_BYTES_MAX
            && self.rare.as_ref().is_none_or(|rare| rare.learnt.is_none());
        is_huge.then(|| Stall::Learn(text.stripped.as_ref().into()))
    }

    /// What the text of a Query means.
    pub(super) fn meaning(&mut self, text: &Text<'_>) -> Statement {
        let learnt = self.take_learnt();
        learnt.unwrap_or_else(|| meaning(&self.worker.proxy.shapes, text))
    }

    /// The text of a Parse, with its types, if it was prepared before by any client. What a DEALLOCATE means depends on the client.
    pub(super) fn known(&self, text: &[u8], types: &[u8]) -> Option<Arc<Prepared>> {
        if names_deallocated(text) || self.reads_otherwise() {
            return None;
        }
        let source = self.source(text, types);
        let current = self.client.statements.unnamed.as_ref();
        match current.filter(|prepared| prepared.is(source)) {
            Some(prepared) => Some(Arc::clone(prepared)),
            None => self.worker.proxy.statements.get(source),
        }
    }

    /// The text of a Parse that is new.
    pub(super) fn meet(&mut self, text: &Text<'_>, types: &[u8], is_named: bool) -> Arc<Prepared> {
        let statement = self.meaning(text);
        if let Some(stand_in) =
            self.deallocate_by_parse(text.stripped.as_bytes(), types, &statement)
        {
            return stand_in;
        }
        let table = &self.worker.proxy.statements;
        let source = self.source(self.forwarded(text), types);
        // An unnamed text with values in it will hardly come again: remembering it would only push others out.
        if (is_named || statement.literals == 0) && !self.reads_otherwise() {
            table.intern(source, &statement)
        } else {
            table.make(source, &statement)
        }
    }

    pub(super) fn source<'s>(&self, text: &'s [u8], types: &'s [u8]) -> Source<'s> {
        let reading = self.client.settings.reading;
        Source {
            text,
            types,
            reading,
        }
    }

    /// Whether the server reads texts otherwise than the client's settings say, because of SET LOCAL, say: what is prepared now is
    /// for this client alone.
    fn reads_otherwise(&self) -> bool {
        self.server
            .as_ref()
            .is_some_and(|server| server.reads_otherwise)
    }

    /// Parses a huge text elsewhere.
    pub(super) async fn learn(&mut self, text: Box<str>) -> Result<(), End> {
        let proxy = Arc::clone(&self.worker.proxy);
        // The semaphore is never closed.
        let _permit = proxy.learning.acquire().await;
        let shapes = Arc::clone(&proxy.shapes);
        let learnt = tokio::task::spawn_blocking(move || match shapes.understand(&text) {
            Understanding::Known(statement) => statement,
            Understanding::NeedsParse => shapes.learn(&text),
        });
        // A parser that panics on a client's text has learnt nothing; nor can we about it, then.
        let learnt = learnt
            .await
            .unwrap_or_else(|_| proxy.shapes.learn("(not understood)"));
        self.rare().learnt = Some(learnt);
        Ok(())
    }
}
