//! A client that listens: its channels move from the connection that it has to the one that listens for all.
//!
//! The LISTEN ran where the client's transaction was. When a survey has found that the connection listens, it is asked to what; the
//! client subscribes to that; once the listening connection has confirmed, this one stops listening and is let go. In between
//! it passes on what it hears itself, which is remembered, so that nothing is missed and nothing comes twice.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use paceline_sql::SessionState;
use tokio::time::{Sleep, sleep};

use super::account::Purpose;
use super::state::AT_ONCE;
use super::{End, Session};
use crate::error::Refusal;
use crate::notify::{CHANNELS_MAX, Subscriptions};

/// For how long the listening connection may be behind the one that the client had.
const BEHIND_MAX: Duration = Duration::from_secs(2);

/// How far the move has come.
pub(super) enum Adoption {
    /// The connection is telling to what it listens.
    Asked(Vec<Vec<u8>>),
    /// The listening connection is to confirm the names, some of which are new.
    Confirming {
        fresh: Vec<Vec<u8>>,
        limit: Pin<Box<Sleep>>,
    },
    /// The connection is told to listen no more.
    Unlistening,
    /// It cannot be done: the client keeps its connection as long as that listens.
    Failed,
}

/// What is remembered of moves. One word large for a client that never listened.
#[derive(Default)]
pub(super) struct Listening(Option<Box<Moves>>);

#[derive(Default)]
struct Moves {
    adoption: Option<Adoption>,
    /// Notifications that the connection itself has told since the client subscribed.
    heard: Vec<Vec<u8>>,
    heard_until: Option<Instant>,
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
        moves.heard.clear();
        moves.adoption = Some(Adoption::Confirming {
            fresh: subscriptions.add(names, self.worker.index),
            limit: Box::pin(sleep(limit)),
        });
        self.heed_hub();
    }

    /// Something may have happened to what the client has subscribed to.
    pub(super) fn heed_hub(&mut self) {
        let Some(Adoption::Confirming { fresh, limit }) = self.listening.adoption() else {
            return;
        };
        let Some(subscriptions) = &mut self.client.subscriptions else {
            return;
        };
        if subscriptions.are_active() {
            self.listening.set_adoption(Adoption::Unlistening);
            self.send_internal(b"UNLISTEN *", Purpose::Unlisten);
        } else if limit.is_elapsed() {
            fresh
                .iter()
                .for_each(|name| subscriptions.remove(Some(name)));
            self.listening.set_adoption(Adoption::Failed);
        }
    }

    /// The connection listens no more.
    pub(super) fn unlistened(&mut self) {
        let has_failed = self.take_internal_error().is_some();
        let moves = self.listening.moves();
        moves.adoption = has_failed.then_some(Adoption::Failed);
        moves.heard_until = Some(Instant::now() + BEHIND_MAX);
        if let Some(server) = &mut self.server
            && !has_failed
        {
            server.pin(server.pinned().without(SessionState::LISTEN));
        }
    }

    /// The connection itself tells of a notification.
    pub(super) fn hear(&mut self, frame: &[u8]) {
        let is_twofold = matches!(
            self.listening.adoption(),
            Some(Adoption::Confirming { .. } | Adoption::Unlistening)
        );
        if is_twofold && self.client.subscriptions.is_some() {
            self.listening.moves().heard.push(frame.to_vec());
        }
    }

    /// Ready when there is something for the client, or the move can go on or has taken too long.
    pub(super) fn poll_hub(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(moves) = &mut self.listening.0
            && let Some(Adoption::Confirming { limit, .. }) = &mut moves.adoption
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
        let moves = self.listening.moves();
        if moves
            .heard_until
            .is_some_and(|until| until <= Instant::now())
        {
            moves.heard.clear();
            moves.heard_until = None;
        }
        let client = &mut self.client;
        while let Some(subscriptions) = &client.subscriptions
            && !client.outbox.is_backed_up()
        {
            let letter = subscriptions.letterbox().take();
            let Some(frame) = letter.map_err(|_| End::Told(Refusal::unread_notifications()))?
            else {
                break;
            };
            match moves.heard.iter().position(|heard| **heard == *frame) {
                Some(index) => drop(moves.heard.remove(index)),
                None => client.outbox.put(&frame),
            }
        }
        Ok(())
    }
}
