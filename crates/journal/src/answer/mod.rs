//! What answers say of themselves: their heads, and the bodies that were looked at.

mod keys;

use paceline_payload::Figures;

pub(crate) use self::keys::{Keys, KeysRoom};
pub use self::keys::{Pairs, Reuse, TTLS, TtlReuse};

/// What compressing pays for: below, the answer fits one packet either way.
pub const PLAIN_BYTES_MIN: u64 = 1_024;

/// What the gateway has seen of one answer, and of the request that asked for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer {
    /// What sort of content it says it has.
    pub content: Content,
    /// Whether the client takes compressed content.
    pub takes_encoding: bool,
    /// Whether the content is encoded (compressed).
    pub is_encoded: bool,
    /// Whether it says that nobody may change it on the way.
    pub forbids_change: bool,
    /// Whether it has an ETag or Last-Modified.
    pub has_validator: bool,
    /// What it says about being kept.
    pub keeping: Keeping,
    /// Whether the request bore Authorization or a cookie.
    pub bears_credentials: bool,
    /// Whether the answer sets a cookie.
    pub sets_cookie: bool,
    /// Whether a cache behind us says that it had it.
    pub was_cached: Option<bool>,
    /// Which answer was asked for, by whom; for GET only.
    pub ask: Option<Ask>,
    /// What its body is made of, when it was looked at.
    pub json: Option<Figures>,
    /// Whether the query of a request whose answer was looked at limits a list or asks for a page of it.
    pub is_limited: bool,
}

/// A sort of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// It does not say.
    #[default]
    Unknown,
    /// JSON.
    Json,
    /// Other text: HTML, CSV, scripts, XML, SVG.
    Text,
    /// Events, one after the other, without an end.
    Events,
    /// What is compressed by its nature, or not known to gain by it.
    Other,
}

/// What an answer says about being kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keeping {
    /// Nothing.
    #[default]
    Unsaid,
    /// Anybody may keep it for a while.
    Fresh,
    /// It may be kept, and must be asked for again before each use.
    Revalidate,
    /// Nobody but the client may keep it, or nobody at all.
    Private,
}

/// Which answer is asked for, by whom: hashes, which mean nothing elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Of path, query, and whether the client takes compressed content.
    pub key: u64,
    /// Of the credentials, or else of what is known of the client.
    pub asker: u64,
    /// Of the body, when it was hashed and ended.
    pub body: Option<u64>,
}

/// The answers of one route, summed. All but `plain` counts answers to GET with status 200 that ended whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answers {
    /// How many.
    pub counted: u64,
    /// With an ETag or Last-Modified.
    pub validated: u64,
    /// That anybody may keep for a while.
    pub fresh: u64,
    /// That nobody but the client may keep.
    pub private: u64,
    /// To requests with Authorization or a cookie.
    pub credentialed: u64,
    /// That set a cookie.
    pub with_cookie: u64,
    /// That are compressed.
    pub encoded: u64,
    /// That a cache behind us says it had, or had not.
    pub cached: u64,
    /// See there.
    pub not_cached: u64,
    /// Text of 1 KiB or more that was not compressed although the client takes that; whatever the method and status.
    pub plain: u64,
    /// The bytes of these.
    pub plain_bytes: u64,
    /// The bodies that were looked at.
    pub bodies: Bodies,
}

/// The JSON bodies of one route that were looked at, summed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bodies {
    /// How many.
    pub looked_at: u64,
    /// To requests that limit the list, or ask for a page of it.
    pub limited: u64,
    /// Bytes looked at.
    pub bytes: u64,
    /// Members of objects.
    pub members: u64,
    /// Values that are null.
    pub nulls: u64,
    /// What these weigh, with their names.
    pub null_bytes: u64,
    /// Empty strings, lists and objects.
    pub empties: u64,
    /// What these weigh, with their names.
    pub empty_bytes: u64,
    /// What names weigh that had come before in the same body.
    pub repeated_name_bytes: u64,
    /// Depths, summed, and the deepest.
    pub depth_sum: u64,
    /// See there.
    pub depth_max: u32,
    /// Lengths of the longest list of each body: the sum, the shortest and the longest.
    pub list_sum: u64,
    /// See there.
    pub list_min: u32,
    /// See there.
    pub list_max: u32,
    /// Most names that came several times in one body, most of these that were always null, and most that were always a
    /// number as text.
    pub fields_max: u32,
    /// See there.
    pub fields_null_max: u32,
    /// See there.
    pub fields_numeric_max: u32,
    /// Bodies in which some name was always a number as text, and these values.
    pub numeric: u64,
    /// See there.
    pub numeric_strings: u64,
}

impl Answers {
    /// Counts an answer that ended whole.
    pub(crate) fn record(&mut self, answer: &Answer, status: u16, bytes: u64) {
        let is_text = matches!(answer.content, Content::Json | Content::Text);
        let is_plain = is_text && answer.takes_encoding && !answer.is_encoded;
        if is_plain && !answer.forbids_change && bytes >= PLAIN_BYTES_MIN {
            self.plain += 1;
            self.plain_bytes += bytes;
        }
        if let Some(figures) = &answer.json {
            self.bodies.record(figures, answer.is_limited);
        }
        if answer.ask.is_none() || status != 200 {
            return;
        }
        self.counted += 1;
        self.validated += u64::from(answer.has_validator);
        self.fresh += u64::from(answer.keeping == Keeping::Fresh);
        self.private += u64::from(answer.keeping == Keeping::Private);
        self.credentialed += u64::from(answer.bears_credentials);
        self.with_cookie += u64::from(answer.sets_cookie);
        self.encoded += u64::from(answer.is_encoded);
        self.cached += u64::from(answer.was_cached == Some(true));
        self.not_cached += u64::from(answer.was_cached == Some(false));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.counted, other.counted),
            (&mut self.validated, other.validated),
            (&mut self.fresh, other.fresh),
            (&mut self.private, other.private),
            (&mut self.credentialed, other.credentialed),
            (&mut self.with_cookie, other.with_cookie),
            (&mut self.encoded, other.encoded),
            (&mut self.cached, other.cached),
            (&mut self.not_cached, other.not_cached),
            (&mut self.plain, other.plain),
            (&mut self.plain_bytes, other.plain_bytes),
        ] {
            *sum += more;
        }
    }
}

impl Bodies {
    fn record(&mut self, figures: &Figures, is_limited: bool) {
        let is_first = self.looked_at == 0;
        self.looked_at += 1;
        self.limited += u64::from(is_limited);
        self.bytes += u64::from(figures.bytes);
        self.members += u64::from(figures.members);
        self.nulls += u64::from(figures.nulls);
        self.null_bytes += u64::from(figures.null_bytes);
        self.empties += u64::from(figures.empties);
        self.empty_bytes += u64::from(figures.empty_bytes);
        self.repeated_name_bytes += u64::from(figures.repeated_name_bytes);
        self.depth_sum += u64::from(figures.depth);
        self.depth_max = self.depth_max.max(figures.depth);
        let length = figures.list_length;
        self.list_sum += u64::from(length);
        self.list_min = if is_first {
            length
        } else {
            self.list_min.min(length)
        };
        self.list_max = self.list_max.max(length);
        self.fields_max = self.fields_max.max(figures.fields);
        self.fields_null_max = self.fields_null_max.max(figures.fields_null);
        self.fields_numeric_max = self.fields_numeric_max.max(figures.fields_numeric);
        self.numeric += u64::from(figures.fields_numeric > 0);
        self.numeric_strings += u64::from(figures.numeric_strings);
    }

    /// A mean per body.
    pub fn mean(&self, sum: u64) -> f64 {
        sum as f64 / self.looked_at.max(1) as f64
    }
}
