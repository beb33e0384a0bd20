//! What a client does to its session, and what of it holds on other connections.
//!
//! Whether a SET lasts is decided by errors, savepoints and the end of the transaction. Nothing of that is followed here: when all
//! is answered and no transaction is open, the server is asked (the *survey*) what the settings in question are now, and what the
//! session holds that no other connection has. Settings become the client's own, and are set again wherever it goes; what is held
//! ties the client to its connection until a survey finds that it is gone.

use std::sync::Arc;

use paceline_pgwire::Wire;
use paceline_pgwire::frontend::{Bind, Query};
use paceline_pgwire::frontend::{BindRest, Close, Execute, Parse, Target};
use paceline_sql::{Kind, SessionEffect, SessionState, SettingName, Shape};

use super::Session;
use super::account::{Note, Purpose};
use super::expect::{Asked, Fate};
use crate::client::Prepared;
use crate::server::{NameBuf, Reset};
use crate::settings::{CANNOT_BE_UNDONE, Settings, changes_reading, literal};

/// Names that a client may have touched when it is asked for. A client that sets more at once keeps its connection.
const NAMES_MAX: usize = 256;

/// What a statement that was sent does to its session, if it succeeds.
pub(super) struct Act {
    shape: Arc<Shape>,
    /// The settings that parameters name; an empty name is one that could not be read.
    names: Vec<String>,
    /// No other statement can undo it.
    is_alone: bool,
}

/// Names of settings, and what they are now; `None` for one that is not there.
type Changes = Vec<(String, Option<String>)>;

impl Act {
    /// Whether part of it lasts although it has failed: what was committed within one text, and what no rollback takes back.
    pub(super) fn may_half_succeed(&self) -> bool {
        let lasts = SessionState::ADVISORY_LOCK | SessionState::PREPARED | SessionState::HIDDEN;
        let facts = self.shape.session.facts();
        self.shape.transaction.is_some() || facts.is_some_and(|facts| facts.leaves.meets(lasts))
    }
}

/// What was done to the session since the last survey.
#[derive(Default)]
pub(super) struct Doings {
    /// Settings, each once.
    names: Vec<String>,
    /// Settings that the server has told, without a statement that says so. Its configuration may have changed as well.
    told: Vec<String>,
    state: SessionState,
    /// The statement that may tie the client to its connection.
    culprit: Option<Arc<Shape>>,
    /// What the survey's row says.
    values: Option<Vec<Option<String>>>,
}

impl Session {
    /// What a statement does to the session that runs it, as far as it matters at once.
    pub(super) fn heed(&mut self, kind: Kind, effect: &SessionEffect) {
        let (Some(server), Some(facts)) = (&mut self.server, effect.facts()) else {
            return;
        };
        if facts.is_unknown {
            let reset = match kind {
                // It may have prepared something.
                Kind::Unknown => Reset::Full,
                _ => Reset::Light,
            };
            server.reset = server.reset.max(reset);
        }
        server.reads_otherwise |= facts.settings.iter().any(|change| match &change.name {
            SettingName::Named(name) => changes_reading(name),
            _ => true,
        });
    }

    /// What is to be remembered until the statement has succeeded. `names` are the settings that its parameters name.
    pub(super) fn act(&self, shape: &Arc<Shape>, names: Vec<String>) -> Option<Box<Act>> {
        let facts = shape.session.facts()?;
        if facts.settings.is_empty() && facts.leaves.is_nothing() && facts.takes.is_nothing() {
            return None;
        }
        Some(Box::new(Act {
            shape: Arc::clone(shape),
            names,
            is_alone: shape.kind == Kind::Session && self.is_status_sure_and_idle(),
        }))
    }

    fn is_status_sure_and_idle(&self) -> bool {
        self.server.as_ref().is_some_and(|server| {
            server.status == crate::server::Status::Idle
                && !server.is_unsynced
                && server.expect.batches_due() == 0
        })
    }

    /// A statement has succeeded, or part of it may have.
    pub(super) fn acted(&mut self, act: &Act, asked: Asked, has_failed: bool) {
        let is_query = asked == Asked::Query && !has_failed;
        let (Some(server), Some(facts)) = (&mut self.server, act.shape.session.facts()) else {
            return;
        };
        if facts.discards_all && !has_failed {
            return self.discarded();
        }
        self.listening.unlisten(&facts.unlistens);
        let lasting = || facts.settings.iter().filter(|change| !change.is_local);
        let is_reset = act.is_alone && is_query && lasting().all(|change| change.is_reset);
        let mut doings = self.doings.take().unwrap_or_default();
        doings.state = doings.state | facts.leaves | (facts.takes & server.pinned());
        let mut names: Vec<String> = Vec::new();
        for change in lasting() {
            match &change.name {
                SettingName::Named(name) => names.push(name.to_string()),
                SettingName::All => {
                    names.extend(self.client.settings.names_of_all().map(str::to_owned));
                }
                SettingName::Computed => doings.state = doings.state | SessionState::SETTINGS,
                SettingName::Parameter(_) => {}
            }
        }
        if is_reset && doings.names.is_empty() && doings.state.is_nothing() {
            return self.were_reset(names);
        }
        names.extend(act.names.iter().cloned());
        for name in names {
            doings.touch(name);
        }
        if !facts.leaves.is_nothing() || doings.culprit.is_none() {
            doings.culprit = Some(Arc::clone(&act.shape));
        }
        self.doings = Some(doings).filter(|doings| !doings.is_empty());
    }

    /// A text has failed. If it resets settings, those of the startup packet have been set behind it all the same: nobody knows what
    /// holds now.
    pub(super) fn reset_in_vain(&mut self, act: &Act) {
        let resets = act.shape.session.facts().is_some_and(|facts| {
            let mut settings = facts.settings.iter();
            settings.any(|change| change.is_reset && !change.is_local)
        });
        let has_startup = self.client.startup.names().next().is_some();
        if let Some(server) = &mut self.server
            && resets
            && has_startup
        {
            server.reset = server.reset.max(Reset::Light);
            server.forget_settings();
        }
    }

    /// These settings are now what the startup packet says, or the server's defaults: no need to ask.
    fn were_reset(&mut self, names: Vec<String>) {
        let startup = &self.client.startup;
        let changes = names.into_iter().map(|name| {
            let value = startup.get(&name).map(str::to_owned);
            (name, value)
        });
        let settings = self
            .worker
            .proxy
            .settings
            .changed(&self.client.settings, changes);
        self.have(settings);
    }

    /// `DISCARD ALL`: nothing is left but what nobody can take away.
    fn discarded(&mut self) {
        self.client.settings = Arc::clone(&self.client.startup);
        self.doings = None;
        self.was_discarded = true;
        self.forget_subscriptions();
        if let Some(server) = &mut self.server {
            server.reset = Reset::None;
            server.pin(server.pinned() & SessionState::HIDDEN);
        }
    }

    /// The client, and the connection that it holds, have these settings.
    fn have(&mut self, settings: Arc<Settings>) {
        self.has_new_settings = settings.id != self.client.settings.id;
        if let Some(server) = &mut self.server {
            server.settings = Arc::clone(&settings);
        }
        self.client.settings = settings;
    }

    /// The server has told settings that are not those of the client, without a statement that says so: a function has set them.
    pub(super) fn note_reports(&mut self) {
        let expected = self.client.target.statuses(&self.client.settings);
        let Some(server) = &mut self.server else {
            return;
        };
        let Some(expected) = expected else {
            server.reset = server.reset.max(Reset::Light);
            return;
        };
        let news = server
            .reported
            .iter()
            .filter(|pair| !expected.contains(pair));
        let mut names = Vec::new();
        for (name, _) in news {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            match &*name {
                "is_superuser" => {
                    names.extend(["role".to_owned(), "session_authorization".to_owned()])
                }
                // No settings, though they are told in the same way.
                "in_hot_standby" | "integer_datetimes" | "server_encoding" | "server_version" => {}
                _ => names.push(name),
            }
        }
        if !names.is_empty() {
            let doings = self.doings.get_or_insert_default();
            names.retain(|name| !doings.names.contains(name));
            doings.told = names;
        }
    }

    /// Asks what has come of what was done, if anything was. Says whether the answer has to be waited for.
    pub(super) fn survey(&mut self) -> bool {
        let Some(doings) = &self.doings else {
            return false;
        };
        match doings.question() {
            Some(sql) => {
                self.is_surveying = true;
                let sql = format!("{AT_ONCE}{sql}");
                self.send_internal(sql.as_bytes(), Purpose::Survey);
                true
            }
            None => {
                self.surveyed();
                false
            }
        }
    }

    /// A row of the survey has come.
    pub(super) fn survey_row(&mut self, body: &[u8]) {
        let is_utf8 = self.server.as_ref().is_some_and(|server| {
            let encoding = server
                .reported
                .iter()
                .find(|(name, _)| **name == *b"client_encoding");
            encoding.is_some_and(|(_, value)| **value == *b"UTF8")
        });
        if let Some(doings) = &mut self.doings {
            doings.values = values(body, is_utf8);
        }
    }

    /// The survey has been answered, or was not necessary.
    pub(super) fn surveyed(&mut self) {
        self.is_surveying = false;
        let error = self.take_internal_error();
        let Some(doings) = self.doings.take() else {
            return;
        };
        let Some(server) = &mut self.server else {
            return;
        };
        let unseen = doings.state & (SessionState::HIDDEN | SessionState::SETTINGS);
        let asked = doings.state.without(unseen);
        let found = doings.found().filter(|_| error.is_none());
        let (changes, state) = match found {
            Some((changes, held)) => (changes, server.pinned().without(asked) | held | unseen),
            // What cannot be known stays where it is.
            None => (
                Vec::new(),
                server.pinned() | doings.state | SessionState::SETTINGS,
            ),
        };
        let is_news = server.pin(state);
        if is_news && !std::mem::replace(&mut self.has_told_pin, true) {
            let client = self.client.id().0;
            let statement = doings.culprit.as_ref().map_or("", |shape| &*shape.summary);
            tracing::info!(
                client,
                statement,
                reason = %state,
                "A client keeps its server connection, because of what its session holds."
            );
        }
        let settings = self
            .worker
            .proxy
            .settings
            .changed(&self.client.settings, changes);
        self.have(settings);
    }

    /// Behind a statement that resets settings: the client's own defaults are those of its startup packet, which the server does not
    /// know. In order, and in the same transaction. Says whether anything was sent.
    pub(super) fn reset_to_startup(&mut self, effect: &SessionEffect) -> bool {
        let startup = Arc::clone(&self.client.startup);
        let Some(facts) = effect.facts().filter(|facts| !facts.discards_all) else {
            return false;
        };
        let mut has_sent = false;
        if startup.names().next().is_none() {
            return has_sent;
        }
        for is_local in [false, true] {
            let mut names = Vec::new();
            for change in &facts.settings {
                match &change.name {
                    SettingName::Named(name) if !change.is_reset => {
                        // What is set behind the RESET, in the same text, stays.
                        names.retain(|reset: &&str| !reset.eq_ignore_ascii_case(name));
                    }
                    _ if !change.is_reset || change.is_local != is_local => {}
                    SettingName::Named(name) => names.push(&**name),
                    SettingName::All => names.extend(startup.names_of_all()),
                    SettingName::Parameter(_) | SettingName::Computed => {}
                }
            }
            for sql in startup.statements_for(&names, is_local) {
                self.send_behind(sql.as_bytes());
                has_sent = true;
            }
        }
        has_sent
    }

    /// A statement of our own that belongs to what the client has just sent.
    fn send_behind(&mut self, text: &[u8]) {
        let Some(server) = &mut self.server else {
            return;
        };
        if !server.is_unsynced {
            return self.send_internal(text, Purpose::Client);
        }
        let mut buf = NameBuf::default();
        let name = server.prepared.unused_name().write(&mut buf);
        let out = server.outbox.buf();
        let (types, rest) = (Parse::NO_TYPES, Bind::NO_PARAMETERS);
        Parse {
            statement: name,
            text,
            types,
        }
        .write(out);
        Bind {
            portal: name,
            statement: name,
            rest,
        }
        .write(out);
        Execute {
            portal: name,
            rows_max: 0,
        }
        .write(out);
        for target in [Target::Portal, Target::Statement] {
            Close { target, name }.write(out);
        }
        for asked in [
            Asked::Parse,
            Asked::Bind,
            Asked::Execute,
            Asked::Close,
            Asked::Close,
        ] {
            server.asked(asked, Fate::Swallow, Note::default());
        }
    }

    /// Makes the session as new.
    pub(super) fn reset(&mut self, reset: Reset) {
        match reset {
            Reset::None => return,
            Reset::Light => {
                let text = format!("{AT_ONCE}{LIGHT_RESET}");
                self.send_internal(text.as_bytes(), Purpose::Reset);
            }
            Reset::Full => {
                // It stands alone, and would wait as well.
                self.send_internal(b"RESET ALL", Purpose::Resetting);
                self.send_internal(b"DISCARD ALL", Purpose::Reset);
            }
        }
        self.is_resetting = true;
    }

    /// A statement of our own, whose answer nobody sees.
    pub(super) fn send_internal(&mut self, text: &[u8], purpose: Purpose) {
        let Some(server) = &mut self.server else {
            return;
        };
        Query { text }.write(server.outbox.buf());
        server.unnamed = None;
        let note = Note {
            purpose,
            ..Note::default()
        };
        server.expect.push(Asked::Query, Fate::SwallowAll, note);
    }
}

/// Stands before a statement of our own. Where the default is SERIALIZABLE READ ONLY DEFERRABLE, it would wait for the transactions
/// of others.
pub(super) const AT_ONCE: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;";

/// What DISCARD ALL does, but for what is prepared.
const LIGHT_RESET: &str = "CLOSE ALL;SET SESSION AUTHORIZATION DEFAULT;RESET ROLE;RESET ALL;UNLISTEN *;\
    SELECT pg_catalog.pg_advisory_unlock_all();DISCARD TEMP;DISCARD SEQUENCES";

impl Doings {
    fn touch(&mut self, name: String) {
        if CANNOT_BE_UNDONE.contains(&&*name) || self.names.contains(&name) {
            return;
        }
        if name.is_empty() || self.names.len() >= NAMES_MAX {
            self.state = self.state | SessionState::SETTINGS;
        } else {
            self.names.push(name);
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.told.is_empty() && self.state.is_nothing()
    }

    /// The kinds of state that are asked for, in the order of the columns behind those of the settings.
    fn asked(&self) -> impl Iterator<Item = (SessionState, &'static str)> {
        let state = self.state;
        let all = HOLDS.into_iter();
        all.filter(move |(each, _)| state.meets(*each))
    }

    fn question(&self) -> Option<String> {
        let settings = self.names.iter().map(|name| {
            let name = literal(name);
            format!("pg_catalog.current_setting({name}, true)")
        });
        let told = self.told.iter().map(|name| {
            let name = literal(name);
            format!(
                "(SELECT setting FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) \
                 OPERATOR(pg_catalog.=) {name} AND source OPERATOR(pg_catalog.=) 'session')"
            )
        });
        let holds = self.asked().map(|(_, holds)| format!("EXISTS ({holds})"));
        let columns: Vec<String> = settings.chain(told).chain(holds).collect();
        (!columns.is_empty()).then(|| format!("SELECT {}", columns.join(", ")))
    }

    /// What the settings are, and what the session holds.
    fn found(&self) -> Option<(Changes, SessionState)> {
        let count = self.names.len() + self.told.len();
        if count == 0 && self.asked().next().is_none() {
            return Some((Vec::new(), SessionState::NOTHING));
        }
        let values = self.values.as_ref()?;
        let (settings, holds) = values.split_at_checked(count)?;
        let names = self.names.iter().chain(&self.told);
        let changes = names.cloned().zip(settings.iter().cloned());
        let held = self
            .asked()
            .zip(holds)
            .filter(|(_, value)| value.as_deref() == Some("t"));
        let held = held.fold(SessionState::NOTHING, |held, ((state, _), _)| held | state);
        Some((changes.collect(), held))
    }
}

/// Finds what a session holds. Whatever the search path is, each name means the catalogue's.
const HOLDS: [(SessionState, &str); 5] = [
    (
        SessionState::TEMPORARY,
        "SELECT 1 FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) \
         'pg_catalog.pg_namespace'::pg_catalog.regclass \
         AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()",
    ),
    (
        SessionState::ADVISORY_LOCK,
        "SELECT 1 FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' \
         AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()",
    ),
    (
        SessionState::CURSOR,
        "SELECT 1 FROM pg_catalog.pg_cursors WHERE is_holdable",
    ),
    (
        SessionState::PREPARED,
        "SELECT 1 FROM pg_catalog.pg_prepared_statements WHERE from_sql",
    ),
    (
        SessionState::LISTEN,
        "SELECT 1 FROM pg_catalog.pg_listening_channels()",
    ),
];

/// The values of a DataRow; `None` when one of them is not text as we read it.
fn values(body: &[u8], is_utf8: bool) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        rest = tail;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            values.push(None);
            continue;
        };
        let (value, tail) = rest.split_at_checked(length)?;
        rest = tail;
        let value = std::str::from_utf8(value).ok()?;
        if !is_utf8 && !value.is_ascii() {
            return None;
        }
        values.push(Some(value.to_owned()));
    }
    Some(values)
}

/// The settings that a Bind's parameters name.
pub(super) fn named_settings(prepared: &Prepared, rest: &[u8], missing: u32) -> Vec<String> {
    let Some(facts) = prepared.effect().facts() else {
        return Vec::new();
    };
    let lasting = facts.settings.iter().filter(|change| !change.is_local);
    let numbers = lasting.filter_map(|change| match change.name {
        SettingName::Parameter(number) => Some(usize::from(number)),
        _ => None,
    });
    let name = |number: usize| {
        let rest = (missing == 0)
            .then(|| BindRest::parse(rest).ok())
            .flatten()?;
        let value = rest.values().nth(number.checked_sub(1)?)??;
        Some(std::str::from_utf8(value).ok()?.to_ascii_lowercase())
    };
    numbers
        .map(|number| name(number).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_asks_for_what_was_touched_and_no_more() {
        let mut doings = Doings::default();
        assert_eq!(doings.question(), None);
        doings.touch("app.it's".to_owned());
        doings.touch("app.it's".to_owned());
        doings.touch("transaction_isolation".to_owned());
        doings.state = SessionState::CURSOR | SessionState::HIDDEN;
        assert_eq!(
            doings.question().unwrap(),
            "SELECT pg_catalog.current_setting(E'app.it''s', true), \
             EXISTS (SELECT 1 FROM pg_catalog.pg_cursors WHERE is_holdable)"
        );
        assert_eq!(doings.found(), None, "not answered yet");
        doings.values = values(b"\0\x02\0\0\0\x011\0\0\0\x01t", true);
        let changes = vec![("app.it's".to_owned(), Some("1".to_owned()))];
        assert_eq!(doings.found(), Some((changes, SessionState::CURSOR)));
    }

    #[test]
    fn values_are_read_or_refused() {
        let check = |body: &[u8], is_utf8, expected: Option<Vec<Option<&str>>>| {
            let found = values(body, is_utf8);
            let expected: Option<Vec<Option<String>>> =
                expected.map(|all| all.iter().map(|value| value.map(str::to_owned)).collect());
            assert_eq!(found, expected, "{body:?}");
        };
        check(b"\0\0", true, Some(vec![]));
        check(b"\0\x01\xff\xff\xff\xff", true, Some(vec![None]));
        check(b"\0\x01\0\0\0\x02\xc3\xbc", true, Some(vec![Some("ü")]));
        check(b"\0\x01\0\0\0\x02\xc3\xbc", false, None);
        check(b"\0\x01\0\0\0\x01\xfc", true, None);
        check(b"\0\x01\0\0\0\x09x", true, None);
        check(b"", true, None);
    }
}
