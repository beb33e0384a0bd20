//! Stage 8: the end of a transaction, of a server connection, of a session.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_pgwire::backend::{ParameterStatus, ReadyForQuery, TransactionStatus};
use paceline_pgwire::{ErrorFields, SqlState, Wire};
use paceline_sql::SessionState;
use tokio::time::{sleep, timeout};

use super::account::{Note, Purpose};
use super::expect::{Asked, Entry, Fate};
use super::forward::may_begin;
use super::retry::BatchState;
use super::stream::{Lost, Misfit, undo};
use super::{Copy, End, Session};
use crate::error::Refusal;
use crate::pool::Lease;
use crate::server::{Opened, Reset, Status};
use crate::settings::Settings;

/// `invalid_parameter_value`.
const INVALID_PARAMETER_VALUE: SqlState = SqlState(*b"22023");

/// How long answers are still passed on to a client that has closed its side or said goodbye, and how long a last word may take.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

impl Session {
    /// Gives the connection back when nothing is under way any more.
    pub(super) fn release(&mut self) {
        let is_mid_message = self.is_mid_message();
        let Some(server) = &mut self.server else {
            return;
        };
        if !server.is_quiet() || self.is_setting_up || is_mid_message {
            return;
        }
        self.portals.end_transaction();
        self.settle_unlistens();
        if self.is_leaving() {
            return self.leave_nothing_behind();
        }
        if std::mem::replace(&mut self.was_discarded, false) {
            self.has_reports = false;
            self.tell_settings();
        }
        if self.is_session_pooled {
            self.doings = None;
            return self.stay();
        }
        // Settings that are new have nothing to be compared with.
        let has_reports = std::mem::replace(&mut self.has_reports, false);
        if has_reports && !self.has_new_settings {
            self.note_reports();
        }
        if self.survey() {
            return;
        }
        let Some(server) = &mut self.server else {
            return;
        };
        if std::mem::replace(&mut self.has_new_settings, false) {
            let (target, settings) = (&self.client.target, &self.client.settings);
            if target.statuses(settings).is_none() {
                target.remember_statuses(settings, &server.reported);
            }
        }
        if std::mem::replace(&mut server.reads_otherwise, false) {
            server.prepared.condemn_misread();
        }
        if server.is_pinned() {
            if !self.move_channels() {
                self.stay();
            }
            return;
        }
        match server.reset {
            Reset::None => self.detach(),
            reset => self.reset(reset),
        }
    }

    /// The client keeps its connection, which may have lost its settings.
    fn stay(&mut self) {
        let settings = &self.client.settings;
        let has_lost = |server: &Lease<Opened>| server.settings.id != settings.id;
        if self.server.as_ref().is_some_and(has_lost) {
            self.bring_in_line();
        }
    }

    /// The client leaves: its connection becomes as new, for others.
    fn leave_nothing_behind(&mut self) {
        let Some(server) = &mut self.server else {
            return;
        };
        let is_used = self.is_session_pooled || server.is_pinned() || self.doings.is_some();
        let reset = if is_used { Reset::Full } else { server.reset };
        match reset {
            _ if self.has_left_nothing => self.detach(),
            _ if server.pinned().meets(SessionState::HIDDEN) => {}
            Reset::None if !self.has_reports => self.detach(),
            reset => self.reset(reset.max(Reset::Light)),
        }
    }

    /// The client has been told settings that are not those of its next transaction: these are.
    fn tell_settings(&mut self) {
        let expected = self.client.target.statuses(&self.client.settings);
        let (Some(expected), Some(server)) = (expected, &self.server) else {
            return;
        };
        let differs = |pair: &&_| !server.reported.contains(pair);
        for (name, value) in expected.iter().filter(differs) {
            ParameterStatus { name, value }.write(self.client.outbox.buf());
        }
    }

    /// Lets the connection go, in whatever state it is: the guard knows what to do with it.
    pub(super) fn detach(&mut self) {
        let is_mid_message = self.is_mid_message();
        self.forget_connection();
        if let Some(mut lease) = self.server.take() {
            lease.inbox.shrink();
            lease.outbox.shrink();
            // The signal may still be on its way; or the server waits for the rest of a message, whatever else it has answered.
            if self.client.cancelable.detach() || is_mid_message {
                lease.condemn();
            }
            lease.listed.rests();
            self.client.listed.rests();
            let now = Instant::now();
            let held = now.saturating_duration_since(lease.held_since);
            self.tally().count_held(held);
            lease.end_at(now);
        }
    }

    /// Nothing is under way any more on the connection that the client had.
    fn forget_connection(&mut self) {
        (self.copy, self.is_held) = (Copy::No, false);
        (self.is_setting_up, self.is_resetting, self.is_paused) = (false, false, false);
        (self.is_surveying, self.was_discarded) = (false, false);
        self.listening.stop();
    }

    /// Lets the connection go at the end of the session. Gives it back when the server is still at work for it, which has to be
    /// stopped.
    pub(super) fn abandon(&mut self) -> Option<Lease<Opened>> {
        if self
            .server
            .as_ref()
            .is_none_or(|server| !server.is_at_work())
        {
            self.detach();
            return None;
        }
        self.client.cancelable.detach();
        self.server.take()
    }

    /// The settings are in line.
    pub(super) fn set_up_done(&mut self) {
        let Some(server) = &mut self.server else {
            return;
        };
        self.is_setting_up = false;
        if self.batch_state == BatchState::Awaited {
            self.batch_state = BatchState::Off;
        }
        let (target, settings) = (&self.client.target, &self.client.settings);
        server.settings = Arc::clone(settings);
        if target.statuses(settings).is_none() {
            target.remember_statuses(settings, &server.reported);
        }
    }

    /// The settings cannot be brought in line. That may be due to what others have done to the connection: a `statement_timeout`
    /// (others come to their end with what sets them), and `temp_buffers`, which are fixed once a temporary table was used.
    pub(super) fn misfit(&self, fields: &ErrorFields<'_>) -> Misfit {
        let sqlstate = fields.sqlstate().unwrap_or(SqlState::INTERNAL_ERROR);
        let words = String::from_utf8_lossy(fields.message().unwrap_or_default());
        let buffers = |settings: &Settings| settings.get("temp_buffers").map(str::to_owned);
        let is_of_others = match sqlstate {
            SqlState::QUERY_CANCELED => true,
            INVALID_PARAMETER_VALUE => self
                .server
                .as_ref()
                .is_some_and(|server| buffers(&server.settings) != buffers(&self.client.settings)),
            _ => false,
        };
        Misfit {
            refusal: Refusal::settings_refused(sqlstate, &words),
            is_of_others,
        }
    }

    /// The session is as new, or cannot be reset.
    pub(super) fn reset_done(&mut self) {
        self.is_resetting = false;
        let has_failed = self.take_internal_error().is_some();
        let is_leaving = self.is_leaving();
        let Some(server) = &mut self.server else {
            return;
        };
        if has_failed {
            server.condemn();
        }
        server.reset = Reset::None;
        server.forget_settings();
        if is_leaving {
            server.pin(SessionState::NOTHING);
            self.doings = None;
            self.has_left_nothing = true;
        }
    }

    /// The server connection is lost. Between transactions everything that is due is answered with that, and the session goes on
    /// without. Within one the session ends, as it would at Postgres itself: what the client has sent ahead, or sends without
    /// looking at the error, belongs to the transaction that is gone, and must not run as transactions of its own.
    pub(super) fn lose(&mut self, lost: Lost) -> Result<(), End> {
        let Some(mut lease) = self.server.take() else {
            return Ok(());
        };
        lease.condemn();
        let was_cancelled = self.client.cancelable.detach();
        let (is_misfit, is_of_others) = match &lost.misfit {
            Some(misfit) => (true, misfit.is_of_others),
            None => (false, false),
        };
        let refusal = match lost.misfit {
            Some(misfit) => misfit.refusal,
            None => Refusal::server_lost(lost.words.as_deref()),
        };
        let in_message = lease.reader.missing() > 0 && self.answer_to == super::BodyTo::Peer;
        let is_over = in_message
            || self.copy != Copy::No
            || lease.is_pinned()
            || self.is_session_pooled
            // What has been SET, and answered, would be lost in silence.
            || self.doings.is_some()
            || lease.status != Status::Idle
            || self.has_sent_ahead(&lease)
            || lease.runs.shapes().any(may_begin);
        // Nothing has run. But a client that has set what cannot be set again would never get on.
        let has_set = self.client.settings.id != self.client.startup.id;
        let is_over = if is_misfit {
            lease.is_pinned() || has_set && !is_of_others
        } else {
            is_over
        };
        let was_skipping = lease.expect.is_skipping();
        let was_busy = lease.status != Status::Idle || lease.is_unsynced;
        let was_setting_up = self.is_setting_up;
        lease.runs.clear();
        let mut due = lease.expect.take_all();
        for entry in due.iter_mut().rev() {
            let undoing = std::mem::take(&mut entry.note.undo);
            undo(undoing, &mut lease, &mut self.client.statements);
        }
        self.forget_connection();
        if is_of_others && !was_cancelled && !lease.is_pinned() && self.take_back(&due) {
            self.rare().place = Some(lease.into_place());
            return Ok(());
        }
        drop(lease);
        self.knows_parameters();
        self.stop_passing();
        if is_over {
            return Err(if in_message {
                End::Gone
            } else {
                End::Told(if is_misfit {
                    refusal
                } else {
                    refusal.ends_session()
                })
            });
        }
        let was_told = self.answer_lost(due, &refusal, was_skipping);
        self.was_refused = was_told;
        if !was_told && (was_busy || was_setting_up) {
            self.denied = Some(refusal);
        }
        Ok(())
    }

    /// Whether the client has sent more than the one batch or query that the server had not answered. One of them may be a BEGIN.
    fn has_sent_ahead(&self, server: &Lease<Opened>) -> bool {
        let batches_due = server.expect.batches_due();
        batches_due > 1 || batches_due == 1 && !self.client.inbox.is_empty()
    }

    /// Answers what is due: an error for each batch, and its ReadyForQuery. Says whether there was anything.
    fn answer_lost(
        &mut self,
        due: VecDeque<Entry<Note>>,
        refusal: &Refusal,
        was_skipping: bool,
    ) -> bool {
        let out = self.client.outbox.buf();
        let (mut is_skipping, mut was_told) = (was_skipping, was_skipping);
        for Entry { asked, fate, note } in due {
            if fate == Fate::SwallowAll {
                continue;
            }
            let closes_batch = asked == Asked::Sync;
            let is_query = matches!(asked, Asked::Query | Asked::FunctionCall);
            if is_skipping && !closes_batch {
                continue;
            }
            if let (Asked::Local(answer), false) = (asked, is_skipping) {
                out.extend_from_slice(answer);
                continue;
            }
            if !is_skipping && note.sqlstate.is_none() {
                refusal.write(out);
            }
            was_told = true;
            is_skipping = !closes_batch && !is_query;
            if !is_skipping {
                ReadyForQuery(TransactionStatus::Idle).write(out);
            }
        }
        self.is_skipping = is_skipping;
        was_told
    }

    /// Between two transactions, with nothing of the server's in hand.
    pub(super) fn between_transactions(&mut self) -> Result<(), End> {
        if !self.is_at_rest() {
            return Ok(());
        }
        let is_idle = self.client.inbox.is_empty() && self.is_between_messages();
        if self.worker.is_draining() && is_idle && !self.skips() {
            return Err(End::Told(Refusal::shutting_down()));
        }
        if self.server.is_some() {
            return Ok(());
        }
        let may_move = !self.worker.is_draining()
            && self.denied.is_none()
            && !self.is_skipping
            && self.is_between_messages();
        if may_move && let Some(seat) = self.client.seat.shed() {
            return Err(End::Moved(seat));
        }
        Ok(())
    }

    /// Whether no transaction is open and nothing is due.
    pub(super) fn is_at_rest(&self) -> bool {
        self.server.as_ref().is_none_or(|server| {
            server.is_quiet() && (self.is_session_pooled || server.is_pinned())
        })
    }

    /// The client has said goodbye or closed its side. What is due is passed on for a moment; an open transaction is rolled
    /// back, so that the connection can be used by others.
    pub(super) fn leave(&mut self) -> Result<(), End> {
        if !self.is_leaving() {
            self.rare().leaving = Some(Box::pin(sleep(FAREWELL)));
        }
        let is_mid_message = self.is_mid_message();
        let Some(server) = &mut self.server else {
            return if self.client.outbox.is_empty() {
                Err(End::Gone)
            } else {
                Ok(())
            };
        };
        // Half a message, or a batch without its end, cannot be brought to an end in the client's place.
        let is_torn = server.is_unsynced || is_mid_message || self.copy == Copy::In;
        let has_hidden = server.pinned().meets(SessionState::HIDDEN);
        if is_torn || has_hidden && server.expect.is_empty() {
            return Err(End::Gone);
        }
        if server.status != Status::Idle && server.expect.is_empty() {
            self.send_internal(b"ROLLBACK", Purpose::Client);
        } else {
            self.release();
        }
        Ok(())
    }

    /// Says the last word, if the client listens.
    pub(super) async fn say_farewell(&mut self) {
        let client = &mut self.client;
        let said = poll_fn(|context| client.outbox.poll_flush(&mut client.stream, context));
        let _ = timeout(FAREWELL, said).await;
    }
}
