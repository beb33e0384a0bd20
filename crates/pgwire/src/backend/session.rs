//! What a server sends while it runs statements.

use bytes::BufMut;

use super::cursor;
use crate::Error;
use crate::wire::{Wire, put_cstr, put_header};

/// Whether the session is in a transaction block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// `I`
    Idle,
    /// `T`
    InTransaction,
    /// `E`: statements are refused until the block ends.
    Failed,
}

/// The server waits for the next Query or batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyForQuery(pub TransactionStatus);

impl<'a> Wire<'a> for ReadyForQuery {
    const TAG: u8 = b'Z';

    #[inline]
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        match body {
            b"I" => Ok(ReadyForQuery(TransactionStatus::Idle)),
            b"T" => Ok(ReadyForQuery(TransactionStatus::InTransaction)),
            b"E" => Ok(ReadyForQuery(TransactionStatus::Failed)),
            _ => Err(cursor("ReadyForQuery", body).error("its status is unknown")),
        }
    }

    fn body_len(&self) -> usize {
        1
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_u8(match self.0 {
            TransactionStatus::Idle => b'I',
            TransactionStatus::InTransaction => b'T',
            TransactionStatus::Failed => b'E',
        });
    }
}

/// A statement has been run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandComplete<'a> {
    /// The command's word and mostly its number of rows: `SELECT 3`, `INSERT 0 1`, `BEGIN`.
    pub tag: &'a [u8],
}

impl CommandComplete<'_> {
    /// The number of rows, for commands that tell it.
    #[inline]
    pub fn rows(&self) -> Option<u64> {
        let digits = self
            .tag
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (word, number) = self.tag.split_at(self.tag.len() - digits);
        if digits == 0 || word.last() != Some(&b' ') {
            return None;
        }
        number.iter().try_fold(0_u64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
    }
}

impl<'a> Wire<'a> for CommandComplete<'a> {
    const TAG: u8 = b'C';

    #[inline]
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("CommandComplete", body);
        let tag = fields.cstr()?;
        fields.end()?;
        Ok(CommandComplete { tag })
    }

    fn body_len(&self) -> usize {
        self.tag.len() + 1
    }

    fn write_body(&self, out: &mut impl BufMut) {
        put_cstr(out, self.tag);
    }
}

/// A COPY begins; which way is told by the message's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyResponse<'a> {
    /// Whether the data are binary.
    pub is_binary: bool,
    /// The columns' format codes as they stand on the wire: a 16-bit count, then two bytes each.
    pub formats: &'a [u8],
}

impl<'a> CopyResponse<'a> {
    /// Reads the body of a CopyInResponse, CopyOutResponse or CopyBothResponse.
    pub fn parse(body: &'a [u8]) -> Result<CopyResponse<'a>, Error> {
        let mut fields = cursor("CopyResponse", body);
        let is_binary = match fields.u8()? {
            0 => false,
            1 => true,
            _ => return Err(fields.error("its format is unknown")),
        };
        let formats = fields.peek_rest();
        let count = fields.u16()?;
        fields.bytes(usize::from(count) * 2)?;
        fields.end()?;
        Ok(CopyResponse { is_binary, formats })
    }

    /// Writes it as the message of this type: `G`, `H` or `W`.
    pub fn write(&self, tag: u8, out: &mut impl BufMut) {
        put_header(out, tag, 1 + self.formats.len());
        out.put_u8(u8::from(self.is_binary));
        out.put_slice(self.formats);
    }
}

/// Somebody has notified a channel that the session listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification<'a> {
    /// The server process of the one who notified.
    pub process_id: u32,
    /// The channel.
    pub channel: &'a [u8],
    /// What was said.
    pub payload: &'a [u8],
}

impl<'a> Wire<'a> for Notification<'a> {
    const TAG: u8 = b'A';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("NotificationResponse", body);
        let (process_id, channel, payload) = (fields.u32()?, fields.cstr()?, fields.cstr()?);
        fields.end()?;
        Ok(Notification {
            process_id,
            channel,
            payload,
        })
    }

    fn body_len(&self) -> usize {
        4 + self.channel.len() + self.payload.len() + 2
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_u32(self.process_id);
        put_cstr(out, self.channel);
        put_cstr(out, self.payload);
    }
}
