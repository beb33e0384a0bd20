//! The buffers of one socket: what came and is not dealt with yet, and what is to be sent.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::room::{Held, Room};
use crate::stream::Stream;

/// What a buffer begins with, and shrinks to.
const BASE_BYTES: usize = 8 * 1024;
/// A buffer that a read has filled grows up to this, so that bulk data take fewer system calls.
pub(crate) const BULK_BYTES: usize = 64 * 1024;
/// What grows beyond this has to find room with the texts of all clients.
const OWN_BYTES: usize = 2 * BULK_BYTES;
/// Above this much unsent, whoever produces more has to wait.
pub(crate) const BACKLOG_BYTES: usize = 64 * 1024;

/// So many spare buffers of each kind a worker keeps.
const SPARES_MAX: usize = 64;

/// Memory of buffers that is not in use at one worker. A client that is idle has none; those that are busy pass it on
/// without asking the allocator.
#[derive(Default)]
#[expect(
    clippy::vec_box,
    reason = "they go into the connections boxed as they are, so that an idle one is a pointer"
)]
pub(crate) struct Spares {
    incoming: RefCell<Vec<Box<Incoming>>>,
    outgoing: RefCell<Vec<Box<Outgoing>>>,
}

fn put_aside<T>(spares: &RefCell<Vec<T>>, memory: T, bytes: usize) {
    let mut spares = spares.borrow_mut();
    if spares.len() < SPARES_MAX && bytes <= BULK_BYTES * 2 {
        spares.push(memory);
    }
}

/// Bytes that have come. One word large while there are none.
#[derive(Default)]
pub(crate) struct Inbox(Option<Box<Incoming>>);

/// The memory is always initialised, so that reading into it needs no unsafe code.
#[derive(Default)]
struct Incoming {
    memory: Vec<u8>,
    start: usize,
    end: usize,
    /// Its part of the room for texts, while it is large.
    held: Option<Held>,
}

impl Inbox {
    /// What is there.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Some(incoming) => &incoming.memory[incoming.start..incoming.end],
            None => &[],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Some(incoming) => incoming.end - incoming.start,
            None => 0,
        }
    }

    /// Drops the first bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        if let Some(incoming) = &mut self.0 {
            incoming.start += count;
            if incoming.start == incoming.end {
                (incoming.start, incoming.end) = (0, 0);
            }
        }
    }

    /// Puts bytes before those that are there.
    pub(crate) fn put_back(&mut self, bytes: &[u8]) {
        let mut memory = bytes.to_vec();
        memory.extend_from_slice(self.bytes());
        let (start, end) = (0, memory.len());
        let held = self.0.take().and_then(|incoming| incoming.held);
        self.0 = Some(Box::new(Incoming {
            memory,
            start,
            end,
            held,
        }));
    }

    /// Whether there is room for what the next read of a message of `wanted` bytes makes of it. It counts twice: what is
    /// read is copied once, to be parsed, kept or sent on.
    pub(crate) fn finds_room(&mut self, wanted: usize, room: &Arc<Room>) -> bool {
        let Some(incoming) = &mut self.0 else {
            return true;
        };
        let goal = incoming.growth(wanted);
        let goal = goal.unwrap_or(incoming.memory.len());
        goal <= OWN_BYTES || room.grow(&mut incoming.held, 2 * goal)
    }

    /// Whether it has grown beyond what each client may have.
    pub(crate) fn is_large(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|incoming| incoming.held.is_some())
    }

    /// Puts the memory aside for others when nothing is in it.
    pub(crate) fn release(&mut self, spares: &Spares) {
        if self.is_empty()
            && let Some(mut incoming) = self.0.take()
        {
            incoming.held = None;
            let bytes = incoming.memory.len();
            put_aside(&spares.incoming, incoming, bytes);
        }
    }

    /// Gives memory above the usual back when nothing is in it.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty()
            && let Some(incoming) = &self.0
            && (incoming.memory.len() > BULK_BYTES || incoming.held.is_some())
        {
            self.0 = None;
        }
    }

    /// Reads once. Ready with 0 when the peer has closed its side. Memory is taken only when there is something to read.
    pub(crate) fn poll_fill(
        &mut self,
        stream: &mut Stream,
        wanted: usize,
        spares: &Spares,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.0.is_none() {
            ready!(stream.poll_read_ready(context))?;
        }
        let incoming = self
            .0
            .get_or_insert_with(|| spares.incoming.borrow_mut().pop().unwrap_or_default());
        incoming.poll_fill(stream, wanted, context)
    }
}

impl Incoming {
    /// How large the memory is to become for a message of `wanted` bytes in all; `None` while it is large enough. A length is
    /// only a promise: memory grows with what has come, never by more than doubling.
    fn growth(&self, wanted: usize) -> Option<usize> {
        let len = self.end - self.start;
        let has_room = self.end < self.memory.len()
            && (wanted <= len || self.start + wanted <= self.memory.len());
        if has_room {
            return None;
        }
        let least = wanted.max(len + 1);
        let goal = least.min((len * 2).max(BULK_BYTES)).max(BASE_BYTES);
        Some(goal.max(self.memory.len()))
    }

    fn make_room(&mut self, wanted: usize) {
        let Some(goal) = self.growth(wanted) else {
            return;
        };
        let len = self.end - self.start;
        self.memory.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, len);
        if self.memory.len() < goal {
            self.memory.resize(goal, 0);
        }
    }

    fn poll_fill(
        &mut self,
        stream: &mut Stream,
        wanted: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room(wanted);
        let mut spare = ReadBuf::new(&mut self.memory[self.end..]);
        ready!(Pin::new(stream).poll_read(context, &mut spare))?;
        let count = spare.filled().len();
        let is_full = spare.remaining() == 0;
        self.end += count;
        if is_full && self.memory.len() < BULK_BYTES {
            self.memory.resize(BULK_BYTES, 0);
        }
        Poll::Ready(Ok(count))
    }
}

/// Bytes to send. One word large while there are none.
#[derive(Default)]
pub(crate) struct Outbox(Option<Box<Outgoing>>);

/// A `Vec` to write into, and a mark up to which it has been sent.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbox {
    /// Where messages are written.
    pub(crate) fn buf(&mut self) -> &mut Vec<u8> {
        &mut self.0.get_or_insert_default().bytes
    }

    /// Forgets what is in it, sent or not.
    pub(crate) fn clear(&mut self) {
        if let Some(outgoing) = &mut self.0 {
            outgoing.bytes.clear();
            outgoing.sent = 0;
        }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.buf().extend_from_slice(bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Some(outgoing) => outgoing.bytes.len() - outgoing.sent,
            None => 0,
        }
    }

    /// Whether whoever fills it has to wait.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.len() >= BACKLOG_BYTES
    }

    /// Puts the memory aside for others when nothing is in it.
    pub(crate) fn release(&mut self, spares: &Spares) {
        if self.is_empty()
            && let Some(mut outgoing) = self.0.take()
        {
            outgoing.sent = 0;
            outgoing.bytes.clear();
            let bytes = outgoing.bytes.capacity();
            put_aside(&spares.outgoing, outgoing, bytes);
        }
    }

    /// Takes memory that somebody else has put aside.
    pub(crate) fn borrow(&mut self, spares: &Spares) {
        if self.0.is_none() {
            self.0 = spares.outgoing.borrow_mut().pop();
        }
    }

    /// Gives memory above the usual back when nothing is in it.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty()
            && let Some(outgoing) = &self.0
            && outgoing.bytes.capacity() > BULK_BYTES
        {
            self.0 = None;
        }
    }

    /// Sends what the socket takes. Ready when all is sent.
    pub(crate) fn poll_flush(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Some(outgoing) if !outgoing.bytes.is_empty() => outgoing.poll_flush(stream, context),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl Outgoing {
    fn poll_flush(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            let written = Pin::new(&mut *stream).poll_write(context, &self.bytes[self.sent..]);
            match written {
                Poll::Pending => {
                    self.compact();
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.sent += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        self.bytes.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Drops what has been sent, when that is worth the move.
    fn compact(&mut self) {
        if self.sent >= BACKLOG_BYTES {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}
