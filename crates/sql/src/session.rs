//! What a statement does to the session that runs it.

use std::fmt;

/// What a statement does to its session that outlives it. Nothing, for nearly all statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionEffect(Option<Box<SessionFacts>>);

/// The facts of a statement that does something to its session. They say what may happen: whether it does is for the server to
/// tell, when the transaction has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFacts {
    /// It may do anything unseen: it calls what is not known, or could not be parsed.
    pub is_unknown: bool,
    /// The settings that it changes, in the order of the text.
    pub settings: Vec<SettingChange>,
    /// What it may leave behind.
    pub leaves: SessionState,
    /// What it may take away.
    pub takes: SessionState,
    /// The channels of `UNLISTEN`; none is all of them.
    pub unlistens: Vec<Option<Box<str>>>,
    /// `DISCARD ALL`.
    pub discards_all: bool,
}

/// A setting that a statement changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// Which one.
    pub name: SettingName,
    /// It goes back to its default: `RESET`, `SET … TO DEFAULT`.
    pub is_reset: bool,
    /// For the transaction only: `SET LOCAL`, `set_config(…, true)`.
    pub is_local: bool,
}

/// Which setting a statement changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingName {
    /// Named in the text; in lower case.
    Named(Box<str>),
    /// Named by the parameter with this number, counted from 1.
    Parameter(u16),
    /// Named by an expression.
    Computed,
    /// All of them: `RESET ALL`.
    All,
}

/// Sorts of session state that cannot be had on another connection: a set.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionState(u8);

impl SessionEffect {
    /// Nothing.
    pub const NONE: SessionEffect = SessionEffect(None);

    /// It may do anything unseen.
    pub fn unknown() -> SessionEffect {
        let mut effect = SessionEffect::NONE;
        effect.facts_mut().is_unknown = true;
        effect
    }

    /// Whether it does nothing to its session.
    #[inline]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it may do anything unseen.
    #[inline]
    pub fn is_unknown(&self) -> bool {
        self.facts().is_some_and(|facts| facts.is_unknown)
    }

    /// What it does, if it does anything.
    #[inline]
    pub fn facts(&self) -> Option<&SessionFacts> {
        self.0.as_deref()
    }

    /// Adds to what it does.
    pub(crate) fn facts_mut(&mut self) -> &mut SessionFacts {
        self.0.get_or_insert_default()
    }

    pub(crate) fn leave(&mut self, state: SessionState) {
        let facts = self.facts_mut();
        facts.leaves = facts.leaves | state;
    }

    pub(crate) fn take(&mut self, state: SessionState) {
        let facts = self.facts_mut();
        facts.takes = facts.takes | state;
    }

    pub(crate) fn change(&mut self, name: SettingName, is_reset: bool, is_local: bool) {
        self.facts_mut().settings.push(SettingChange {
            name,
            is_reset,
            is_local,
        });
    }
}

impl SettingName {
    /// A name as Postgres compares it: letters are equal in either case.
    pub fn named(name: &str) -> SettingName {
        SettingName::Named(name.to_ascii_lowercase().into())
    }
}

impl SessionState {
    /// None of them.
    pub const NOTHING: SessionState = SessionState(0);
    /// Temporary tables and other objects of the session's own schema.
    pub const TEMPORARY: SessionState = SessionState(1);
    /// Advisory locks held by the session.
    pub const ADVISORY_LOCK: SessionState = SessionState(1 << 1);
    /// Cursors `WITH HOLD`.
    pub const CURSOR: SessionState = SessionState(1 << 2);
    /// Statements prepared by `PREPARE`.
    pub const PREPARED: SessionState = SessionState(1 << 3);
    /// Channels of `LISTEN`.
    pub const LISTEN: SessionState = SessionState(1 << 4);
    /// What nobody can see, nor take away: a loaded library, a seed, connections of the session's own, a backup.
    pub const HIDDEN: SessionState = SessionState(1 << 5);
    /// Settings whose names or values cannot be known.
    pub const SETTINGS: SessionState = SessionState(1 << 6);
    /// All of them.
    pub const ALL: SessionState = SessionState((1 << 7) - 1);
    /// Each alone, with a word for people and labels.
    pub const EACH: [(SessionState, &'static str); 7] = [
        (SessionState::TEMPORARY, "temporary"),
        (SessionState::ADVISORY_LOCK, "advisory_lock"),
        (SessionState::CURSOR, "cursor"),
        (SessionState::PREPARED, "prepared"),
        (SessionState::LISTEN, "listen"),
        (SessionState::HIDDEN, "hidden"),
        (SessionState::SETTINGS, "settings"),
    ];

    /// Whether it is none of them.
    #[inline]
    pub fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Whether the two have one in common.
    #[inline]
    pub fn meets(self, other: SessionState) -> bool {
        self.0 & other.0 != 0
    }

    /// These without those.
    #[must_use]
    pub fn without(self, other: SessionState) -> SessionState {
        SessionState(self.0 & !other.0)
    }
}

impl std::ops::BitOr for SessionState {
    type Output = SessionState;

    fn bitor(self, other: SessionState) -> SessionState {
        SessionState(self.0 | other.0)
    }
}

impl std::ops::BitAnd for SessionState {
    type Output = SessionState;

    fn bitand(self, other: SessionState) -> SessionState {
        SessionState(self.0 & other.0)
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = SessionState::EACH
            .iter()
            .filter(|(state, _)| self.meets(*state))
            .map(|(_, word)| *word);
        f.write_str(words.next().unwrap_or("nothing"))?;
        words.try_for_each(|word| write!(f, ", {word}"))
    }
}

impl fmt::Debug for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
