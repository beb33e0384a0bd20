//! What header fields say about content, caches and who asks: the values behind the names that a survey meets.

use paceline_journal::{Content, Keeping};

/// Fields that say something of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    AcceptEncoding,
    /// `Authorization`, `Cookie`.
    Credentials,
    ContentType,
    ContentEncoding,
    /// `ETag`, `Last-Modified`.
    Validator,
    CacheControl,
    Expires,
    SetCookie,
    Age,
    CacheStatus,
    /// `X-Cache` and its like: a word for whether it was a hit.
    CacheWord,
}

/// All that the fields of one message say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Said {
    pub(crate) takes_encoding: bool,
    pub(crate) bears_credentials: bool,
    pub(crate) content: Content,
    pub(crate) is_encoded: bool,
    pub(crate) has_validator: bool,
    pub(crate) keeping: Keeping,
    pub(crate) forbids_change: bool,
    pub(crate) sets_cookie: bool,
    pub(crate) was_cached: Option<bool>,
    /// `Age` says less than a cache that speaks of itself.
    pub(crate) aged: Option<bool>,
    pub(crate) expires: bool,
}

impl Said {
    /// Reads a value. Neither allocates nor keeps anything of it.
    pub(crate) fn note(&mut self, field: Field, value: &[u8]) {
        match field {
            Field::AcceptEncoding => self.takes_encoding |= list(value).any(is_accepted_coding),
            Field::Credentials => self.bears_credentials = true,
            Field::ContentType => self.content = content(value),
            Field::ContentEncoding => {
                self.is_encoded |= list(value).any(|coding| !is(coding, b"identity"));
            }
            Field::Validator => self.has_validator = true,
            Field::CacheControl => list(value).for_each(|directive| self.direct(directive)),
            // `0` and `-1` are what servers write for "never".
            Field::Expires => self.expires = value.len() > 2,
            Field::SetCookie => self.sets_cookie = true,
            Field::Age => self.aged = Some(value.iter().any(|byte| matches!(byte, b'1'..=b'9'))),
            Field::CacheStatus => self.status(value),
            Field::CacheWord => self.word(value),
        }
    }

    /// What the fields say together.
    pub(crate) fn settle(&mut self) {
        self.was_cached = self.was_cached.or(self.aged);
        if self.expires && self.keeping == Keeping::Unsaid {
            self.keeping = Keeping::Fresh;
        }
    }

    /// One directive of `Cache-Control` (RFC 9111, section 5.2.2). The strictest counts.
    fn direct(&mut self, directive: &[u8]) {
        let (name, argument) = cut(directive, b'=');
        let keeping = if is(name, b"private") || is(name, b"no-store") {
            Keeping::Private
        } else if is(name, b"no-cache") {
            Keeping::Revalidate
        } else if is(name, b"max-age") || is(name, b"s-maxage") {
            let lives = argument.iter().any(|byte| matches!(byte, b'1'..=b'9'));
            if lives {
                Keeping::Fresh
            } else {
                Keeping::Revalidate
            }
        } else {
            self.forbids_change |= is(name, b"no-transform");
            return;
        };
        if strictness(keeping) > strictness(self.keeping) {
            self.keeping = keeping;
        }
    }

    /// `ExampleCache; hit`, `CDN; fwd=uri-miss` (RFC 9211). A hit anywhere spared the application.
    fn status(&mut self, value: &[u8]) {
        for cache in list(value) {
            let mut parameters = cache
                .split(|byte| *byte == b';')
                .skip(1)
                .map(<[u8]>::trim_ascii);
            let was_hit = parameters.any(|one| is(one, b"hit"));
            self.was_cached = Some(was_hit || self.was_cached == Some(true));
        }
    }

    /// `HIT`, `MISS from cdn-7`, `TCP_MEM_HIT`.
    fn word(&mut self, value: &[u8]) {
        let has = |word: &[u8]| value.windows(word.len()).any(|part| is(part, word));
        if has(b"hit") {
            self.was_cached = Some(true);
        } else if has(b"miss") || has(b"expired") || has(b"stale") || has(b"bypass") {
            self.was_cached = Some(self.was_cached == Some(true));
        }
    }
}

/// Whether a query asks for a page of a list, or limits it.
pub(crate) fn limits(query: &[u8]) -> bool {
    const NAMES: [&[u8]; 20] = [
        b"limit",
        b"page",
        b"per_page",
        b"perpage",
        b"page_size",
        b"pagesize",
        b"page[size]",
        b"page[number]",
        b"offset",
        b"cursor",
        b"after",
        b"before",
        b"first",
        b"last",
        b"top",
        b"$top",
        b"skip",
        b"size",
        b"count",
        b"max_results",
    ];
    query.split(|byte| *byte == b'&').any(|pair| {
        let (name, _) = cut(pair, b'=');
        NAMES.iter().any(|known| is(name, known))
    })
}

fn strictness(keeping: Keeping) -> u8 {
    match keeping {
        Keeping::Unsaid => 0,
        Keeping::Fresh => 1,
        Keeping::Revalidate => 2,
        Keeping::Private => 3,
    }
}

fn content(value: &[u8]) -> Content {
    let (kind, _) = cut(value, b';');
    let ends = |end: &[u8]| kind.len() >= end.len() && is(&kind[kind.len() - end.len()..], end);
    if is(kind, b"application/json") || ends(b"+json") {
        Content::Json
    } else if is(kind, b"text/event-stream") {
        Content::Events
    } else if kind.len() > 5 && is(&kind[..5], b"text/")
        || ends(b"+xml")
        || ends(b"/xml")
        || ends(b"javascript")
        || ends(b"ndjson")
    {
        Content::Text
    } else {
        Content::Other
    }
}

/// `gzip`, `br;q=0.5`; not `identity`, nor `gzip;q=0`.
fn is_accepted_coding(item: &[u8]) -> bool {
    let (coding, parameters) = cut(item, b';');
    let known: [&[u8]; 5] = [b"gzip", b"br", b"zstd", b"deflate", b"*"];
    let (_, quality) = cut(parameters, b'=');
    let is_refused = !quality.is_empty() && quality.iter().all(|byte| matches!(byte, b'0' | b'.'));
    known.iter().any(|one| is(coding, one)) && !is_refused
}

fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let items = value.split(|byte| *byte == b',');
    items
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

/// What stands before and behind the first such byte, without the spaces around it.
fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == at) {
        Some(end) => (text[..end].trim_ascii(), text[end + 1..].trim_ascii()),
        None => (text.trim_ascii(), b""),
    }
}

fn is(text: &[u8], word: &[u8]) -> bool {
    text.eq_ignore_ascii_case(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[(Field, &str)]) -> Said {
        let mut said = Said::default();
        lines
            .iter()
            .for_each(|(field, value)| said.note(*field, value.as_bytes()));
        said.settle();
        said
    }

    #[test]
    fn a_client_takes_what_it_does_not_refuse() {
        for (value, takes) in [
            ("gzip", true),
            ("GZip, deflate", true),
            ("identity, br;q=0.5", true),
            ("*", true),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip; q=0.0, identity", false),
            ("gzip;q=0, zstd", true),
            ("", false),
            ("x-unknown", false),
        ] {
            assert_eq!(
                said(&[(Field::AcceptEncoding, value)]).takes_encoding,
                takes,
                "{value}"
            );
        }
    }

    #[test]
    fn content_is_told_by_its_type() {
        for (value, expected) in [
            ("application/json", Content::Json),
            ("Application/JSON; charset=utf-8", Content::Json),
            ("application/problem+json", Content::Json),
            ("text/html", Content::Text),
            ("image/svg+xml", Content::Text),
            ("application/javascript", Content::Text),
            ("application/x-ndjson", Content::Text),
            ("text/event-stream", Content::Events),
            ("image/png", Content::Other),
            ("application/octet-stream", Content::Other),
            ("", Content::Other),
        ] {
            assert_eq!(
                said(&[(Field::ContentType, value)]).content,
                expected,
                "{value}"
            );
        }
        let encoded = |value| said(&[(Field::ContentEncoding, value)]).is_encoded;
        assert!(encoded("gzip") && encoded("identity, br") && !encoded("identity") && !encoded(""));
    }

    #[test]
    fn the_strictest_word_about_keeping_counts() {
        use Keeping::{Fresh, Private, Revalidate, Unsaid};
        for (value, expected) in [
            ("max-age=60", Fresh),
            ("public, max-age=60, stale-while-revalidate=5", Fresh),
            ("max-age=0, s-maxage=10", Revalidate),
            ("max-age=0", Revalidate),
            ("no-cache", Revalidate),
            ("private, max-age=60", Private),
            ("No-Store", Private),
            ("public", Unsaid),
            ("no-transform", Unsaid),
        ] {
            assert_eq!(
                said(&[(Field::CacheControl, value)]).keeping,
                expected,
                "{value}"
            );
        }
        let later = (Field::Expires, "Thu, 01 Dec 2044 16:00:00 GMT");
        assert_eq!(said(&[later]).keeping, Fresh);
        assert_eq!(said(&[(Field::Expires, "0")]).keeping, Unsaid);
        assert_eq!(
            said(&[later, (Field::CacheControl, "no-cache")]).keeping,
            Revalidate
        );
        assert!(said(&[(Field::CacheControl, "no-transform, max-age=1")]).forbids_change);
    }

    #[test]
    fn caches_behind_us_are_believed() {
        use Field::{Age, CacheStatus, CacheWord};
        type Row = (&'static [(Field, &'static str)], Option<bool>);
        let rows: [Row; 12] = [
            (&[], None),
            (&[(Age, "17")], Some(true)),
            (&[(Age, "0")], Some(false)),
            (&[(CacheWord, "HIT")], Some(true)),
            (&[(CacheWord, "TCP_MEM_HIT from a")], Some(true)),
            (&[(CacheWord, "MISS, HIT")], Some(true)),
            (&[(CacheWord, "Miss from cloudfront")], Some(false)),
            (&[(CacheWord, "MISS"), (Age, "5")], Some(false)),
            (&[(CacheWord, "DYNAMIC")], None),
            (
                &[(CacheStatus, "Origin; fwd=miss, CDN; hit; ttl=5")],
                Some(true),
            ),
            (&[(CacheStatus, "CDN; fwd=uri-miss; stored")], Some(false)),
            (&[(CacheStatus, "hitter; fwd=miss")], Some(false)),
        ];
        for (lines, expected) in rows {
            assert_eq!(said(lines).was_cached, expected, "{lines:?}");
        }
    }

    #[test]
    fn pages_are_asked_for_by_name() {
        for (query, expected) in [
            ("page=2", true),
            ("q=a&Limit=10", true),
            ("page[size]=5", true),
            ("cursor", true),
            ("", false),
            ("q=page", false),
            ("homepage=1", false),
            ("brand=limit", false),
        ] {
            assert_eq!(limits(query.as_bytes()), expected, "{query}");
        }
    }
}
