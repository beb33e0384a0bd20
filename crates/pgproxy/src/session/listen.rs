//! A client that listens: its channels move from the connection that it has to the one that listens for all.
//!
//! The LISTEN ran where the client's transaction was. When a survey has found that the connection listens, it is asked to what; the
//! client subscribes to that; once the listening connection has confirmed, this one sends a mark through a channel to which both listen,
//! stops listening, and is let go. All connections are told the same in the same order, that of the commits: what comes here before
//! the mark is passed on here, what comes there behind it is passed on from there. So nothing is missed, and nothing comes twice.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use paceline_pgwire::backend::Notification;
use paceline_pgwire::{Header, Wire};
use paceline_sql::SessionState;
use tokio::time::{Sleep, sleep};

use super::account::Purpose;
use super::state::AT_ONCE;
use super::{End, Session};
use crate::error::Refusal;
use crate::notify::{CHANNELS_MAX, Mark, Subscriptions};

/// How far the move has come.
pub(super) enum Adoption {
    /// The connection is telling to what it listens.
    Asked(Vec<Vec<u8>>),
    /// The listening connection is to confirm the names.
    Confirming(Pin<Box<Sleep>>),
    /// The mark is on its way.
    Marking,
    /// The connection is told to listen no more.
    Unlistening,
    /// It cannot be done: the client keeps its connection as long as that listens.
    Failed,
}

/// What a notification tells of.
enum Subject<'n> {
    Channel(&'n [u8]),
    /// It came through the channel of the marks; not all that does is one.
    Mark(Option<Mark>),
}

/// What is remembered of moves. One word large for a client that never listened.
#[derive(Default)]
pub(super) struct Listening(Option<Box<Moves>>);

#[derive(Default)]
struct Moves {
    adoption: Option<Adoption>,
    /// How many moves there were.
    count: u64,
    /// The channels about which the listening connection is not heard before the mark of this move has come.
    fresh: HashMap<Vec<u8>, u64>,
    /// The connection that the client has heard the mark.
    has_passed: bool,
    /// What the open transaction wants to listen to no more; nothing stands for all.
    unlistens: Vec<Option<Box<str>>>,
    /// Something of it was rolled back, perhaps the UNLISTEN.
    has_rolled_back: bool,
}

impl Listening {
    /// Whether the move is under way, so that nothing else may be done.
    pub(super) fn is_moving(&self) -> bool {
        !matches!(self.adoption(), None | Some(Adoption::Failed))
    }

    fn is_asked(&self) -> bool {
        matches!(self.adoption(), Some(Adoption::Asked(_)))
    }

    fn adoption(&self) -> Option<&Adoption> {
        self.0.as_ref()?.adoption.as_ref()
    }

    fn moves(&mut self) -> &mut Moves {
        self.0.get_or_insert_default()
    }

    fn set_adoption(&mut self, adoption: Adoption) {
        self.moves().adoption = Some(adoption);
    }

    /// The connection is gone.
    pub(super) fn stop(&mut self) {
        if let Some(moves) = &mut self.0 {
            moves.adoption = None;
            moves.unlistens.clear();
            moves.has_rolled_back = false;
        }
    }

    /// An UNLISTEN has succeeded, which means nothing before its transaction is committed.
    pub(super) fn unlisten(&mut self, names: &[Option<Box<str>>]) {
        if !names.is_empty() {
            self.moves().unlistens.extend_from_slice(names);
        }
    }

    /// Something was rolled back, by a client that has subscriptions.
    pub(super) fn roll_back(&mut self) {
        self.moves().has_rolled_back = true;
    }
}

impl Session {
    /// The transaction is over: what it has ended is ended. If any of it was rolled back that cannot be told, and the client
    /// gets rather too much than too little.
    pub(super) fn settle_unlistens(&mut self) {
        let Some(moves) = &mut self.listening.0 else {
            return;
        };
        let unlistens = std::mem::take(&mut moves.unlistens);
        if std::mem::take(&mut moves.has_rolled_back) {
            return;
        }
        for name in unlistens {
            if let Some(subscriptions) = &mut self.client.subscriptions {
                subscriptions.remove(name.as_deref().map(str::as_bytes));
            }
        }
    }

    /// `DISCARD ALL`.
    pub(super) fn forget_subscriptions(&mut self) {
        if let Some(moves) = &mut self.listening.0 {
            moves.unlistens.clear();
            moves.fresh.clear();
        }
        self.client.subscriptions = None;
    }

    /// Moves what the connection listens to. Says whether that is under way.
    pub(super) fn move_channels(&mut self) -> bool {
        let Some(server) = &self.server else {
            return false;
        };
        if !server.pinned().meets(SessionState::LISTEN) {
            if let Some(moves) = &mut self.listening.0 {
                moves.adoption = None;
            }
            return false;
        }
        if self.listening.adoption().is_some() {
            return self.listening.is_moving();
        }
        // The listening connection gets texts as the database has them.
        let mut encodings = server
            .reported
            .iter()
            .filter(|(name, _)| matches!(&**name, b"client_encoding" | b"server_encoding"));
        let is_same = match (encodings.next(), encodings.next()) {
            (Some((_, one)), Some((_, other))) => one == other,
            _ => false,
        };
        if !is_same {
            self.listening.set_adoption(Adoption::Failed);
            return false;
        }
        self.listening.set_adoption(Adoption::Asked(Vec::new()));
        let text = format!("{AT_ONCE}SELECT pg_catalog.pg_listening_channels()");
        self.send_internal(text.as_bytes(), Purpose::Channels);
        true
    }

    /// Whether this row names a channel. If so, it is remembered.
    pub(super) fn channel_row(&mut self, body: &[u8]) -> bool {
        if !self.listening.is_asked() {
            return false;
        }
        let name = crate::server::first_value(body);
        if let (Some(Adoption::Asked(names)), Some(name)) =
            (&mut self.listening.moves().adoption, name)
            && names.len() <= CHANNELS_MAX
        {
            names.push(name);
        }
        true
    }

    /// The connection has said to what it listens.
    pub(super) fn channels_known(&mut self) {
        let Some(Adoption::Asked(names)) = self.listening.moves().adoption.take() else {
            return;
        };
        let has_failed = self.take_internal_error().is_some();
        let client = &mut self.client;
        let known = client.subscriptions.as_ref().map_or(0, |known| known.len());
        if has_failed || known + names.len() > CHANNELS_MAX {
            self.listening.set_adoption(Adoption::Failed);
            return;
        }
        let (id, target) = (client.id().0, Arc::clone(&client.target));
        let limit = target.settings().wait_timeout;
        let subscriptions = client
            .subscriptions
            .get_or_insert_with(|| Box::new(Subscriptions::new(id, target)));
        let moves = self.listening.moves();
        moves.count += 1;
        moves.has_passed = false;
        let fresh = subscriptions.add(names, self.worker.index);
        let number = moves.count;
        moves
            .fresh
            .extend(fresh.into_iter().map(|name| (name, number)));
        moves.adoption = Some(Adoption::Confirming(Box::pin(sleep(limit))));
        self.heed_hub();
    }

    /// Something may have happened to what the client has subscribed to.
    pub(super) fn heed_hub(&mut self) {
        let Some(Adoption::Confirming(limit)) = self.listening.adoption() else {
            return;
        };
        let Some(subscriptions) = &self.client.subscriptions else {
            return;
        };
        if subscriptions.are_active() {
            let mark = self.mark();
            let marks = String::from_utf8_lossy(self.client.target.hub.marks());
            let text = format!("{AT_ONCE}LISTEN {marks};NOTIFY {marks},'{mark}'");
            self.listening.set_adoption(Adoption::Marking);
            self.send_internal(text.as_bytes(), Purpose::Mark);
        } else if limit.is_elapsed() {
            self.give_up_move();
        }
    }

    /// The client keeps its connection as long as that listens, and hears by that alone.
    fn give_up_move(&mut self) {
        let moves = self.listening.moves();
        moves.adoption = Some(Adoption::Failed);
        moves.has_passed = false;
        let number = moves.count;
        for (name, _) in moves.fresh.extract_if(|_, move_| *move_ == number) {
            if let Some(subscriptions) = &mut self.client.subscriptions {
                subscriptions.remove(Some(&name));
            }
        }
    }

    /// The mark of the move that is under way, or was the last.
    fn mark(&mut self) -> Mark {
        let (client, number) = (self.client.id().0, self.listening.moves().count);
        Mark { client, number }
    }

    /// The mark is sent, and the connection has told what came before it.
    pub(super) fn marked(&mut self) {
        let has_failed = self.take_internal_error().is_some();
        if has_failed || !self.listening.moves().has_passed {
            return self.give_up_move();
        }
        self.listening.set_adoption(Adoption::Unlistening);
        self.send_internal(b"UNLISTEN *", Purpose::Unlisten);
    }

    /// The connection listens no more.
    pub(super) fn unlistened(&mut self) {
        if self.take_internal_error().is_some() {
            return self.give_up_move();
        }
        self.listening.moves().adoption = None;
        if let Some(server) = &mut self.server {
            server.pin(server.pinned().without(SessionState::LISTEN));
        }
    }

    /// What a notification tells of. `None` when it cannot be read.
    fn subject<'n>(&self, body: &'n [u8]) -> Option<Subject<'n>> {
        let Notification {
            channel, payload, ..
        } = Notification::parse(body).ok()?;
        Some(if *channel == *self.client.target.hub.marks() {
            Subject::Mark(Mark::parse(payload))
        } else {
            Subject::Channel(channel)
        })
    }

    /// The connection itself tells of a notification. Whether the client gets it from here.
    pub(super) fn passes_on(&mut self, body: &[u8]) -> bool {
        let Some(subscriptions) = &self.client.subscriptions else {
            return true;
        };
        match self.subject(body) {
            None => true,
            Some(Subject::Mark(mark)) => {
                if mark == Some(self.mark()) {
                    self.listening.moves().has_passed = true;
                }
                false
            }
            Some(Subject::Channel(channel)) => {
                let is_known = subscriptions.contains(channel);
                let moves = self.listening.moves();
                !is_known || moves.fresh.get(channel) == Some(&moves.count) && !moves.has_passed
            }
        }
    }

    /// Whether the client gets what the listening connection has told. A notice of its loss is the end of all waiting for marks.
    fn takes(&mut self, frame: &[u8]) -> bool {
        let (Some(b'A'), Some(body)) = (frame.first(), frame.get(Header::LEN..)) else {
            self.listening.moves().fresh.clear();
            return true;
        };
        match self.subject(body) {
            None => true,
            Some(Subject::Mark(mark)) => {
                if let Some(mark) = mark {
                    let fresh = &mut self.listening.moves().fresh;
                    fresh.retain(|_, move_| *move_ > mark.number);
                }
                false
            }
            Some(Subject::Channel(channel)) => {
                let subscriptions = self.client.subscriptions.as_ref();
                subscriptions.is_some_and(|subscriptions| subscriptions.contains(channel))
                    && !self.listening.moves().fresh.contains_key(channel)
            }
        }
    }

    /// Ready when there is something for the client, or the move can go on or has taken too long.
    pub(super) fn poll_hub(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(moves) = &mut self.listening.0
            && let Some(Adoption::Confirming(limit)) = &mut moves.adoption
            && limit.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(());
        }
        match &self.client.subscriptions {
            Some(subscriptions) => subscriptions.letterbox().poll_stirred(context),
            None => Poll::Pending,
        }
    }

    /// Gives the client what waits for it, between two transactions.
    pub(super) fn deliver_notifications(&mut self) -> Result<(), End> {
        if self.client.subscriptions.is_none() || self.listening.is_moving() || !self.is_at_rest() {
            return Ok(());
        }
        while let Some(subscriptions) = &self.client.subscriptions
            && !self.client.outbox.is_backed_up()
        {
            let letter = subscriptions.letterbox().take();
            let Some(frame) = letter.map_err(|_| End::Told(Refusal::unread_notifications()))?
            else {
                break;
            };
            if self.takes(&frame) {
                self.client.outbox.put(&frame);
            }
        }
        Ok(())
    }
}
