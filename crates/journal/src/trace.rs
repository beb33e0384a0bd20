//! The W3C trace context: the one header by which a request and its statements find each other.

use std::fmt;
use std::str::FromStr;

/// The `traceparent` of W3C Trace Context (section 3.2): version, trace id, parent span id, flags.
///
/// Parsing is as strict as the recommendation: lower-case hexadecimal only, no zero ids, version `ff`
/// refused. A future version is read by the fields that version 00 knows, and shown as version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// Which trace. Paceline mints a new one for each load.
    pub trace_id: TraceId,
    /// Which span in it is the parent.
    pub span_id: SpanId,
    /// Whether the trace is recorded.
    pub flags: TraceFlags,
}

/// The 16 bytes that name a trace; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(u128);

/// The 8 bytes that name a span; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(u64);

/// The eight flag bits of a trace context. Only `sampled` has a meaning here; the rest is kept as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TraceFlags(pub u8);

/// Length of a version 00 `traceparent`.
const LENGTH: usize = 55;

impl TraceParent {
    /// Reads a header value, or the value of a sqlcommenter `traceparent` key. `None` when it is
    /// anything else than the recommendation allows.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let known = bytes.get(..LENGTH)?;
        let version = hexadecimal(&known[..2])?;
        let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
        // Version 00 ends here; a later version may go on, after another dash.
        let tail_fits = match bytes.get(LENGTH) {
            None => true,
            Some(&next) => version != 0 && next == b'-',
        };
        if version == 0xff || !dashes || !tail_fits {
            return None;
        }
        Some(Self {
            trace_id: TraceId::new(hexadecimal(&known[3..35])?)?,
            span_id: SpanId::new(u64::try_from(hexadecimal(&known[36..52])?).ok()?)?,
            flags: TraceFlags(u8::try_from(hexadecimal(&known[53..55])?).ok()?),
        })
    }

    /// A new trace with a new span, sampled: instrumentations leave out of their comments what is
    /// not sampled.
    pub(crate) fn fresh() -> Self {
        Self {
            trace_id: TraceId(fastrand::u128(1..)),
            span_id: SpanId(fastrand::u64(1..)),
            flags: TraceFlags::SAMPLED,
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{}-{}-{:02x}",
            self.trace_id, self.span_id, self.flags.0
        )
    }
}

impl TraceId {
    /// `None` for zero, which the recommendation calls invalid.
    pub fn new(value: u128) -> Option<Self> {
        (value != 0).then_some(Self(value))
    }

    /// The id as a number, most significant byte first.
    pub fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SpanId {
    /// `None` for zero, which the recommendation calls invalid.
    pub fn new(value: u64) -> Option<Self> {
        (value != 0).then_some(Self(value))
    }

    /// The id as a number, most significant byte first.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TraceFlags {
    /// The one flag that Paceline sets.
    pub const SAMPLED: Self = Self(1);

    /// Whether the caller may have recorded the trace.
    pub fn sampled(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Names one request: the trace id that its load was given, in 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(TraceId);

impl From<TraceId> for RequestId {
    fn from(trace: TraceId) -> Self {
        Self(trace)
    }
}

impl From<RequestId> for TraceId {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for RequestId {
    type Err = crate::Error;

    /// Reads 32 lower-case hexadecimal digits; a whole `traceparent` is taken too, since that is
    /// what people copy out of their logs.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let whole = TraceParent::parse(text).map(|parent| parent.trace_id);
        let trace = whole.or_else(|| {
            let bytes = text.as_bytes();
            (bytes.len() == 32).then(|| hexadecimal(bytes).and_then(TraceId::new))?
        });
        trace.map(Self).ok_or(crate::Error::RequestId)
    }
}

/// Lower-case hexadecimal of at most 32 digits.
fn hexadecimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn parses_what_the_recommendation_allows() {
        let rows = [
            (VALID, true),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
                true,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
                true,
            ),
            // A later version, alone and with what we cannot know.
            (
                "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                true,
            ),
            (
                "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
                true,
            ),
            (
                "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
                true,
            ),
            // Refused.
            ("", false),
            (
                "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                false,
            ),
            (
                "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0A",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
                false,
            ),
            (
                "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
                false,
            ),
            (
                "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                false,
            ),
            (
                "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-001",
                false,
            ),
            (
                " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c8031äc-b7ad6b7169203331-01",
                false,
            ),
        ];
        for (text, valid) in rows {
            assert_eq!(TraceParent::parse(text).is_some(), valid, "{text}");
        }
    }

    #[test]
    fn fields_are_read_from_their_places() {
        let parsed = TraceParent::parse(VALID).unwrap();
        assert_eq!(
            parsed.trace_id.get(),
            0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c
        );
        assert_eq!(parsed.span_id.get(), 0xb7ad_6b71_6920_3331);
        assert!(parsed.flags.sampled());
        assert_eq!(parsed.to_string(), VALID);
    }

    #[test]
    fn fresh_ones_are_sampled_and_differ() {
        let (one, two) = (TraceParent::fresh(), TraceParent::fresh());
        assert!(one.flags.sampled());
        assert_ne!(one.trace_id, two.trace_id);
        assert_eq!(TraceParent::parse(&one.to_string()), Some(one));
    }

    #[test]
    fn request_ids_are_read_from_an_id_or_a_whole_header() {
        let id = RequestId::from(TraceParent::parse(VALID).unwrap().trace_id);
        assert_eq!(VALID.parse::<RequestId>().unwrap(), id);
        assert_eq!(id.to_string().parse::<RequestId>().unwrap(), id);
        for wrong in [
            "",
            "0af7",
            "00000000000000000000000000000000",
            "../../etc/passwd",
        ] {
            assert!(wrong.parse::<RequestId>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(trace in 1u128.., span in 1u64.., flags: u8) {
            let parent = TraceParent {
                trace_id: TraceId::new(trace).unwrap(),
                span_id: SpanId::new(span).unwrap(),
                flags: TraceFlags(flags),
            };
            prop_assert_eq!(TraceParent::parse(&parent.to_string()), Some(parent));
        }

        #[test]
        fn no_text_panics_and_what_is_read_is_canonical(text in "\\PC{0,70}") {
            if let Some(parent) = TraceParent::parse(&text) {
                prop_assert_eq!(&parent.to_string()[3..], &text[3..55]);
            }
        }

        #[test]
        fn one_changed_byte_never_reads_as_the_same(at in 0usize..55, byte in 0u8..128) {
            let mut bytes = VALID.as_bytes().to_vec();
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            let text = String::from_utf8(bytes).unwrap();
            if let Some(parent) = TraceParent::parse(&text) {
                // Only the version may change without changing the fields.
                prop_assert!(at < 2 || parent.to_string() != VALID);
            }
        }
    }
}
