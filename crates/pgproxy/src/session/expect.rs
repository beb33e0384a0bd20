//! What the server is yet to answer, in order, and what becomes of each answer. No I/O, no clock.
//!
//! Each message that makes the server answer leaves an entry. A message that Paceline sent of its own accord has its answer
//! swallowed; one that Paceline answers itself, without the server, has an entry that is delivered when its turn comes;
//! one that Paceline made fail has the server's error replaced. The order of what the client sees is thereby the order
//! of what it sent, whatever mixture of the three lies between.
//!
//! An error in the extended protocol makes the server skip to the next Sync. The entries up to there will have no answer and
//! are taken out, so that their owners can undo what they took for granted. A batch behind that Sync must not build upon what
//! may yet be undone: [`Expect::is_earlier_open`]. When no Sync has been sent yet, the client's messages up to its Sync must
//! not be sent any more: [`Expect::is_skipping`].

use std::collections::VecDeque;

/// A message that has an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Answered by anything, closed by ReadyForQuery.
    Query,
    /// Answered by a value, closed by ReadyForQuery.
    FunctionCall,
    Parse,
    Bind,
    DescribeStatement,
    DescribePortal,
    Execute,
    Close,
    Sync,
    /// Not sent: these bytes are the answer.
    Local(&'static [u8]),
}

/// What becomes of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The client gets it.
    Forward,
    /// Nobody gets it, except that an error goes to the client: its own message cannot succeed without this one.
    Swallow,
    /// Nobody gets it, errors included.
    SwallowAll,
    /// It is going to be an error, and the client gets another one instead. The rest is forwarded.
    Replace,
}

/// An entry of the queue, with what its owner wants to remember.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) asked: Asked,
    pub(crate) fate: Fate,
    pub(crate) note: T,
}

impl<T> Entry<T> {
    fn is_batch_end(&self) -> bool {
        is_end(self.asked) && self.fate != Fate::SwallowAll
    }
}

/// Whether its answer ends in a ReadyForQuery.
fn is_end(asked: Asked) -> bool {
    matches!(asked, Asked::Query | Asked::FunctionCall | Asked::Sync)
}

/// What to do with a message of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// What becomes of the message.
    pub(crate) fate: Fate,
    /// Whether the message ends the answer at the head of the queue: [`Expect::finish`] is to be called.
    pub(crate) ends: bool,
    /// Whether it is an error that makes the server skip: [`Expect::fail`] is to be called.
    pub(crate) fails: bool,
}

/// The server sent what cannot come now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutOfStep;

/// The queue.
#[derive(Debug)]
pub(crate) struct Expect<T> {
    queue: VecDeque<Entry<T>>,
    is_skipping: bool,
    /// Entries that may yet be undone: those behind the last Sync sent, and those before it.
    open_now: usize,
    open_earlier: usize,
    /// Entries of the client's that end in a ReadyForQuery.
    batches_due: usize,
}

/// What is remembered with an entry.
pub(crate) trait Remembered {
    /// Whether something was taken for granted that would have to be undone.
    fn is_open(&self) -> bool;
}

impl<T> Default for Expect<T> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            is_skipping: false,
            open_now: 0,
            open_earlier: 0,
            batches_due: 0,
        }
    }
}

impl<T: Remembered> Expect<T> {
    /// A message was sent (or, for [`Asked::Local`], is answered without the server).
    pub(crate) fn push(&mut self, asked: Asked, fate: Fate, note: T) {
        debug_assert!(
            !self.is_skipping || asked == Asked::Sync,
            "the server would not read it"
        );
        if asked == Asked::Sync {
            self.is_skipping = false;
        }
        self.open_now += usize::from(note.is_open());
        if is_end(asked) {
            self.open_earlier += std::mem::take(&mut self.open_now);
            self.batches_due += usize::from(fate != Fate::SwallowAll);
        }
        self.queue.push_back(Entry { asked, fate, note });
    }

    /// Nothing is due any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many answers are due.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many batches and queries of the client are due: each ends in a ReadyForQuery.
    pub(crate) fn batches_due(&self) -> usize {
        self.batches_due
    }

    /// The fate of an entry has been changed.
    pub(crate) fn recount(&mut self) {
        self.batches_due = self
            .queue
            .iter()
            .filter(|entry| entry.is_batch_end())
            .count();
    }

    /// Whether the server skips all messages up to a Sync that has not been sent yet.
    pub(crate) fn is_skipping(&self) -> bool {
        self.is_skipping
    }

    /// Whether an earlier batch may still fail in such a way that what it took for granted is undone.
    pub(crate) fn is_earlier_open(&self) -> bool {
        self.open_earlier > 0
    }

    /// The entry whose answer is due next.
    pub(crate) fn head(&mut self) -> Option<&mut Entry<T>> {
        self.queue.front_mut()
    }

    /// All entries, the oldest first.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<T>> {
        self.queue.iter_mut()
    }

    /// A message of this type has come. Changes nothing yet: the caller deals with the message first.
    pub(crate) fn receive(&self, tag: u8) -> Result<Step, OutOfStep> {
        use Asked::{Bind, Close, DescribePortal, DescribeStatement, Execute};
        use Asked::{FunctionCall, Local, Parse, Query, Sync};
        let head = self.queue.front().ok_or(OutOfStep)?;
        let goes_on = Step {
            fate: head.fate,
            ends: false,
            fails: false,
        };
        let ends = Step {
            fate: head.fate,
            ends: true,
            fails: false,
        };
        Ok(match (head.asked, tag) {
            (Query | FunctionCall | Sync, b'Z') => ends,
            (Query | FunctionCall | Sync, b'E') => goes_on,
            (Query, b'T' | b'D' | b'C' | b'I' | b'G' | b'H' | b'W' | b'd' | b'c') => goes_on,
            (FunctionCall, b'V') => goes_on,
            (Parse, b'1') | (Bind, b'2') | (Close, b'3') => ends,
            (DescribeStatement, b't') => goes_on,
            (DescribeStatement | DescribePortal, b'T' | b'n') => ends,
            (Execute, b'D' | b'G' | b'H' | b'W' | b'd' | b'c') => goes_on,
            (Execute, b'C' | b'I' | b's') => ends,
            (Local(_), _) => return Err(OutOfStep),
            (_, b'E') => Step {
                fate: head.fate,
                ends: false,
                fails: true,
            },
            _ => return Err(OutOfStep),
        })
    }

    /// The answer at the head is complete.
    pub(crate) fn finish(&mut self) -> Option<Entry<T>> {
        let entry = self.queue.pop_front()?;
        self.settle(usize::from(entry.note.is_open()));
        self.batches_due -= usize::from(entry.is_batch_end());
        Some(entry)
    }

    /// The head's error has been dealt with: takes it and all that the server skips, the last first, so that undoing them in
    /// this order restores what was before.
    pub(crate) fn fail(&mut self) -> impl Iterator<Item = Entry<T>> {
        let sync = self
            .queue
            .iter()
            .position(|entry| entry.asked == Asked::Sync);
        self.is_skipping = sync.is_none();
        let skipped = sync.unwrap_or(self.queue.len());
        let open = self
            .queue
            .range(..skipped)
            .filter(|entry| entry.note.is_open())
            .count();
        let ends = self
            .queue
            .range(..skipped)
            .filter(|entry| entry.is_batch_end());
        self.batches_due -= ends.count();
        self.settle(open);
        self.queue.drain(..skipped).rev()
    }

    /// The local answer whose turn has come, if there is one. To be called until there is none.
    pub(crate) fn take_local(&mut self) -> Option<&'static [u8]> {
        match self.queue.front()?.asked {
            Asked::Local(answer) => {
                self.finish();
                Some(answer)
            }
            _ => None,
        }
    }

    /// The server is gone: takes everything, in order.
    pub(crate) fn take_all(&mut self) -> VecDeque<Entry<T>> {
        (self.is_skipping, self.open_now, self.open_earlier) = (false, 0, 0);
        self.batches_due = 0;
        std::mem::take(&mut self.queue)
    }

    /// So many entries are open no more. Entries leave in order: those of earlier batches first.
    fn settle(&mut self, count: usize) {
        let earlier = count.min(self.open_earlier);
        self.open_earlier -= earlier;
        self.open_now -= count - earlier;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARSED: &[u8] = b"1\0\0\0\x04";

    /// Notes in upper case are open.
    impl Remembered for char {
        fn is_open(&self) -> bool {
            self.is_ascii_uppercase()
        }
    }

    /// Steps the queue through the server's messages as a session does; gives what the client gets: a letter for each message of the
    /// server, `+` for a local answer, `!` for a replaced error; and behind a bar the notes of what was undone, in order.
    fn run(expect: &mut Expect<char>, tags: &str) -> String {
        let mut seen = String::new();
        let mut undone = String::new();
        let locals = |expect: &mut Expect<char>, seen: &mut String| {
            while expect.take_local().is_some() {
                seen.push('+');
            }
        };
        locals(expect, &mut seen);
        for tag in tags.chars() {
            let Ok(step) = expect.receive(tag as u8) else {
                return format!("{seen}?");
            };
            match (step.fate, step.fails || tag == 'E') {
                (Fate::Forward, _) | (Fate::Swallow, true) => seen.push(tag),
                (Fate::Replace, true) => seen.push('!'),
                _ => {}
            }
            if step.ends {
                expect.finish();
            }
            if step.fails {
                undone.extend(expect.fail().map(|entry| entry.note));
            }
            locals(expect, &mut seen);
        }
        if undone.is_empty() {
            seen
        } else {
            format!("{seen}|{undone}")
        }
    }

    /// `asked`: a letter for each message (P B D d E C S Q F as on the wire, `d` for the statement; `+` local), in upper or
    /// lower case as on the wire, with a prefix `~` swallowed, `!` replaced.
    fn check(asked: &str, answers: &str, expected: &str) -> Expect<char> {
        let mut expect = Expect::default();
        let mut fate = Fate::Forward;
        for (note, letter) in ('a'..).zip(asked.chars()) {
            let asked = match letter {
                '~' => {
                    fate = Fate::Swallow;
                    continue;
                }
                '!' => {
                    fate = Fate::Replace;
                    continue;
                }
                'P' => Asked::Parse,
                'B' => Asked::Bind,
                'D' => Asked::DescribePortal,
                'd' => Asked::DescribeStatement,
                'E' => Asked::Execute,
                'C' => Asked::Close,
                'S' => Asked::Sync,
                'Q' => Asked::Query,
                'F' => Asked::FunctionCall,
                _ => Asked::Local(PARSED),
            };
            expect.push(asked, std::mem::replace(&mut fate, Fate::Forward), note);
        }
        assert_eq!(
            run(&mut expect, answers),
            expected,
            "{asked} answered by {answers}"
        );
        expect
    }

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        check("Q", "TDDCZ", "TDDCZ");
        check("PBDES", "12TDDCZ", "12TDDCZ");
        check("PdSBES", "1tTZ2CZ", "1tTZ2CZ");
        check("BES", "2DDsZ", "2DDsZ");
        check("CS", "3Z", "3Z");
        check("QQ", "IZCZ", "IZCZ");
        check("F", "VZ", "VZ");
        check("Q", "HddcCZ", "HddcCZ");
        check("QQ", "GCZTDCZ", "GCZTDCZ");
    }

    #[test]
    fn local_answers_wait_for_their_turn() {
        check("+BES", "2DCZ", "+2DCZ");
        check("BE+BES", "2C2CZ", "2C+2CZ");
        check("S+BES", "Z2CZ", "Z+2CZ");
        check("++", "", "++");
    }

    #[test]
    fn injected_messages_leave_no_trace() {
        check("~PBES", "12DCZ", "2DCZ");
        check("~C~PBES", "312CZ", "2CZ");
        check("~Q BES".replace(' ', "").as_str(), "CZ2CZ", "2CZ");
    }

    #[test]
    fn an_error_skips_to_the_next_sync_and_is_undone_backwards() {
        check("PBES", "EZ", "EZ|cba");
        check("PBESPBES", "EZ12CZ", "EZ12CZ|cba");
        check("PB+ESBES", "1EZ2CZ", "1EZ2CZ|dcb");
        check("~PBES", "EZ", "EZ|dcb");
        let expect = check("PBE", "1E", "1E|cb");
        assert!(expect.is_skipping());
        let mut expect = check("P", "E", "E|a");
        expect.push(Asked::Sync, Fate::Forward, 'z');
        assert!(!expect.is_skipping());
        assert_eq!(run(&mut expect, "Z"), "Z");
    }

    #[test]
    fn a_query_behind_a_failed_message_is_skipped_too() {
        check("PQS", "EZ", "EZ|ba");
        check("PF", "E", "E|ba");
    }

    #[test]
    fn errors_of_simple_queries_and_at_commit_skip_nothing() {
        check("QQ", "EZCZ", "EZCZ");
        check("BES", "2CEZ", "2CEZ");
        check("Q", "GEZ", "GEZ");
    }

    #[test]
    fn a_refused_message_has_its_error_replaced() {
        check("P!EES", "1EZ", "1!Z|dc");
    }

    #[test]
    fn what_an_earlier_batch_may_undo_is_known() {
        let mut expect = Expect::default();
        expect.push(Asked::Parse, Fate::Forward, 'A');
        expect.push(Asked::Bind, Fate::Forward, 'b');
        assert!(!expect.is_earlier_open(), "it is this batch");
        expect.push(Asked::Sync, Fate::Forward, 'c');
        assert!(expect.is_earlier_open());
        expect.push(Asked::Parse, Fate::Forward, 'D');
        assert_eq!(run(&mut expect, "1"), "1");
        assert!(!expect.is_earlier_open());
        expect.push(Asked::Sync, Fate::Forward, 'e');
        assert_eq!(run(&mut expect, "EZ"), "EZ|b");
        assert!(expect.is_earlier_open());
        assert_eq!(run(&mut expect, "E"), "E|D");
        assert!(!expect.is_earlier_open());
    }

    #[test]
    fn a_query_ends_its_batch() {
        let mut expect = Expect::default();
        expect.push(Asked::Query, Fate::Forward, 'A');
        assert!(expect.is_earlier_open());
        expect.push(Asked::Query, Fate::SwallowAll, 'b');
        assert_eq!(expect.batches_due(), 1);
        assert_eq!(run(&mut expect, "EZ"), "EZ");
        assert!(!expect.is_earlier_open());
        assert_eq!((expect.batches_due(), expect.len()), (0, 1));
    }

    #[test]
    fn what_cannot_come_is_noticed() {
        check("", "Z", "?");
        check("P", "2", "?");
        check("BE", "C", "?");
        check("S", "C", "?");
        check("Q", "1", "?");
    }
}
