//! Stage 1: the client's messages, one by one.

use paceline_pgwire::{Error, Header, Message, Part, Piece, Reader, Side};

use super::{BodyTo, End, Session, Stall};
use crate::buffer::Inbox;
use crate::error::Refusal;

/// Answers that may be due at once. A client that sends more ahead has to wait for some.
const DUE_MAX: usize = 4096;
/// The longest length word that Postgres takes.
const LENGTH_MAX: u32 = 0x3fff_ffff;

/// What became of a message: it is dealt with, or must be looked at again after the stall is over.
pub(super) type Taken = Result<Option<Stall>, End>;

impl Session {
    /// Deals with as many messages as there are and as can be dealt with.
    pub(super) fn read(&mut self) -> Result<Stall, End> {
        // Taken out, so that messages can be borrowed from it while the session changes.
        let mut inbox = std::mem::take(&mut self.client.inbox);
        let stall = self.read_from(&mut inbox);
        self.client.inbox = inbox;
        stall
    }

    fn read_from(&mut self, inbox: &mut Inbox) -> Result<Stall, End> {
        loop {
            self.heed_refusal(inbox)?;
            if self.must_wait() {
                return Ok(Stall::Answers);
            }
            let reader = self.client.reader;
            let piece = match self.next(inbox) {
                Ok(Some(piece)) => piece,
                Ok(None) if self.lacks_room() => match self.refuse_for_room(inbox)? {
                    Some(stall) => return Ok(stall),
                    None => continue,
                },
                Ok(None) => return Ok(Stall::Input),
                Err(error) => match self.too_long(&error, inbox)? {
                    Some(stall) => return Ok(stall),
                    None => continue,
                },
            };
            let len = piece.len();
            let frame = piece.bytes();
            let begins = self.begins_batch(&piece);
            if let Some(stall) = self.take(piece)? {
                self.client.reader = reader;
                return Ok(stall);
            }
            self.record(begins, frame);
            inbox.consume(len);
            self.deliver_local();
        }
    }

    /// What the client has sent behind a batch that was refused may belong to a transaction that the batch was to begin, and must not
    /// run as transactions of its own. At Postgres the connection would be gone as well.
    fn heed_refusal(&mut self, inbox: &Inbox) -> Result<(), End> {
        if !self.was_refused || self.skips() {
            return Ok(());
        }
        self.was_refused = false;
        match inbox.bytes().first() {
            None | Some(b'X') => Ok(()),
            Some(_) => Err(End::Told(Refusal::sent_ahead())),
        }
    }

    fn next<'b>(&mut self, inbox: &'b Inbox) -> Result<Option<Piece<'b>>, Error> {
        self.client
            .reader
            .next(&self.worker.proxy.client_limits, inbox.bytes())
    }

    /// Whether the server, or what is on its way to the client, has to come along first.
    fn must_wait(&self) -> bool {
        // Local answers and errors of our own need no server: a client that does not read them is not read from either.
        self.client.outbox.is_backed_up()
            || self.is_held
            || self.is_setting_up && !self.may_ride
            || self.is_resetting
            || self.is_surveying
            || self.listening.is_moving()
            || self.server.as_ref().is_some_and(|server| {
                server.outbox.is_backed_up() || server.expect.len() >= DUE_MAX
            })
    }

    fn take(&mut self, piece: Piece<'_>) -> Taken {
        if let Piece::Part(part) = piece
            && !part.is_first
        {
            self.pass_part(part);
            return Ok(None);
        }
        // While the server skips, so do we. It would end at Terminate too.
        if self.skips() && !matches!(piece.tag(), b'S' | b'X') {
            self.body_to = BodyTo::Nowhere;
            // What was found out about a text that is dropped says nothing about the next one.
            self.take_learnt();
            self.heed_skipped(&piece)?;
            return Ok(None);
        }
        match piece {
            Piece::Message(message) => self.take_message(message),
            Piece::Part(part) => match part.tag {
                b'B' => self.bind(part.body(), part.missing),
                b'F' => self.function_call(part.bytes, part.missing),
                _ => self.copy_data(part.bytes),
            },
        }
    }

    fn take_message(&mut self, message: Message<'_>) -> Taken {
        match message.tag() {
            b'Q' => self.query(message),
            b'P' => self.parse(message),
            b'B' => self.bind(message.body(), 0),
            b'D' => self.describe(message),
            b'E' => self.execute(message),
            b'C' => self.close(message),
            b'H' => self.flush(),
            b'S' => self.sync(),
            b'F' => self.function_call(message.frame(), 0),
            b'd' | b'c' | b'f' => self.copy_data(message.frame()),
            b'X' => Ok(Some(Stall::Goodbye)),
            tag => Err(End::Told(Refusal::out_of_place(tag))),
        }
    }

    /// Whether messages up to the client's Sync are to be dropped.
    pub(super) fn skips(&self) -> bool {
        match &self.server {
            Some(server) => server.expect.is_skipping(),
            None => self.is_skipping,
        }
    }

    fn pass_part(&mut self, part: Part<'_>) {
        if self.body_to == BodyTo::Peer
            && let Some(server) = &mut self.server
        {
            server.outbox.put(part.bytes);
        }
    }

    /// A statement above the limit is refused, and the protocol goes on behind it. Anything else that cannot be read ends
    /// the session.
    fn too_long(&mut self, error: &Error, inbox: &mut Inbox) -> Result<Option<Stall>, End> {
        let Error::Length {
            side: Side::Frontend,
            tag: tag @ (b'Q' | b'P'),
            length,
            ..
        } = *error
        else {
            return Err(End::Told(Refusal::client_protocol(error)));
        };
        if !(4..=LENGTH_MAX).contains(&length) {
            return Err(End::Told(Refusal::client_protocol(error)));
        }
        let max = self.worker.proxy.fixed.statement_bytes_max;
        let body_len = length - 4;
        let refusal = Refusal::statement_too_long(body_len as usize, max);
        self.refuse_statement(Header { tag, body_len }, refusal, inbox)
    }

    /// Whether there is no memory for the text that the client has begun to send.
    fn lacks_room(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.lacks_room)
    }

    /// So is one for which there is no memory now. Only texts are kept that are so long.
    fn refuse_for_room(&mut self, inbox: &mut Inbox) -> Result<Option<Stall>, End> {
        let header = self.worker.proxy.client_limits.header(inbox.bytes());
        let Ok(Some(header)) = header else {
            return Ok(Some(Stall::Input));
        };
        let room = &self.worker.proxy.room;
        let refusal = Refusal::no_room_for_text(header.body_len as usize, room);
        let stall = self.refuse_statement(header, refusal, inbox)?;
        self.rare().lacks_room = stall.is_some();
        Ok(stall)
    }

    fn refuse_statement(
        &mut self,
        header: Header,
        refusal: Refusal,
        inbox: &mut Inbox,
    ) -> Result<Option<Stall>, End> {
        if !self.skips()
            && let Some(stall) = self.refuse(header.tag, refusal)?
        {
            return Ok(Some(stall));
        }
        self.body_to = BodyTo::Nowhere;
        self.client.reader.stream(header, Header::LEN);
        inbox.consume(Header::LEN);
        Ok(None)
    }

    /// Whether the client's message that is passing in parts goes to the server.
    pub(super) fn is_mid_message(&self) -> bool {
        self.body_to == BodyTo::Peer && self.client.reader.missing() > 0
    }

    /// Forgets a half-read message.
    pub(super) fn stop_passing(&mut self) {
        self.body_to = BodyTo::Nowhere;
    }

    /// Whether the client stands between two messages.
    pub(super) fn is_between_messages(&self) -> bool {
        self.client.reader == Reader::default() || self.client.reader.missing() == 0
    }
}
