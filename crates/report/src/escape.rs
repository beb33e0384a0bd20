//! Text that stays text.

use std::fmt;

/// Writes a text so that it is text and nothing else, within elements and within quotes.
///
/// Control characters, which HTML forbids, and those that turn the direction of writing, by which a name could pose as
/// another, become the replacement character.
pub(crate) struct Text<'t>(pub(crate) &'t str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in self.0.char_indices() {
            let Some(safe) = replacement(c) else { continue };
            f.write_str(&self.0[plain..at])?;
            f.write_str(safe)?;
            plain = at + c.len_utf8();
        }
        f.write_str(&self.0[plain..])
    }
}

/// Writes a sentence whose pairs of backticks mark code. What is between them, and around them, is text and nothing else.
pub(crate) struct Prose<'t>(pub(crate) &'t str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((before, (code, after))) = rest
            .split_once('`')
            .and_then(|(before, after)| Some((before, after.split_once('`')?)))
        {
            write!(f, "{}<code>{}</code>", Text(before), Text(code))?;
            rest = after;
        }
        write!(f, "{}", Text(rest))
    }
}

fn replacement(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        '\n' | '\t' => None,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some("\u{fffd}")
        }
        // What HTML calls noncharacters are errors as well.
        '\u{fdd0}'..='\u{fdef}' => Some("\u{fffd}"),
        c if c.is_control() || (c as u32 & 0xfffe) == 0xfffe => Some("\u{fffd}"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_in_pairs_mark_code() {
        let rows = [
            ("no code", "no code"),
            (
                "`a < b` and `c`.",
                "<code>a &lt; b</code> and <code>c</code>.",
            ),
            ("one ` alone", "one ` alone"),
            ("`a` and ` alone", "<code>a</code> and ` alone"),
            (
                "`</code><script>`",
                "<code>&lt;/code&gt;&lt;script&gt;</code>",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(Prose(text).to_string(), expected);
        }
    }

    #[test]
    fn text_stays_text() {
        let rows = [
            ("plain text", "plain text"),
            ("a<b>&\"c'", "a&lt;b&gt;&amp;&quot;c&#39;"),
            ("</style><script>", "&lt;/style&gt;&lt;script&gt;"),
            ("&lt;", "&amp;lt;"),
            (
                "a\0b\u{1b}[31m\r\n\tc",
                "a\u{fffd}b\u{fffd}[31m\u{fffd}\n\tc",
            ),
            ("GET /\u{202e}gnp.exe", "GET /\u{fffd}gnp.exe"),
            ("\u{ffff}\u{1fffe}ü→", "\u{fffd}\u{fffd}ü→"),
        ];
        for (text, expected) in rows {
            assert_eq!(Text(text).to_string(), expected);
        }
    }
}
