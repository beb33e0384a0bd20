//! A Rust file as the checkers see it: with and without the insides of its comments and literals.

use std::ops::Range;

/// One file.
pub(crate) struct Source {
    /// Its path below the workspace's folder.
    pub(crate) name: String,
    /// As it is.
    pub(crate) text: String,
    /// With comments and the insides of literals blanked out; lines and columns are the same.
    pub(crate) code: String,
    test_lines: Vec<Range<usize>>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let code = blank(text);
        let whole = name.contains("/tests/")
            || name.ends_with("/tests.rs")
            || name.starts_with("crates/testkit/")
            || name.contains("/benches/");
        let test_lines = if whole {
            std::iter::once(0..usize::MAX).collect()
        } else {
            test_modules(&code)
        };
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            code,
            test_lines,
        }
    }

    /// Whether a line (from 0) belongs to tests.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_lines.iter().any(|lines| lines.contains(&line))
    }
}

/// The lines of items under `#[cfg(test)]`.
fn test_modules(code: &str) -> Vec<Range<usize>> {
    let mut modules = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let first = line_of(code, at);
        let rest = &code[at..];
        let semicolon = rest.find(';').unwrap_or(rest.len());
        let last = match rest.find('{') {
            Some(open) if open < semicolon => line_of(code, at + closing_brace(rest, open)),
            _ => line_of(code, at + semicolon.min(rest.len())),
        };
        modules.push(first..last + 1);
    }
    modules
}

/// The line (from 0) at which a byte stands.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count()
}

/// The offset of the brace that closes the one at `open`, in blanked code.
pub(crate) fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Puts spaces for comments and for what stands in string and character literals.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' | b'b' | b'c' if !continues_a_name(bytes, at) => {
                raw_string_end(bytes, at).unwrap_or(at)
            }
            b'\'' => char_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(code)
        .expect("whole literals and comments are blanked, never parts of characters")
}

fn continues_a_name(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..]
        .windows(what.len())
        .position(|window| window == what)
        .map(|at| from + at)
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`, when one begins here.
fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    if matches!(bytes[at], b'b' | b'c') {
        at += 1;
    }
    if bytes.get(at) != Some(&b'r') {
        return None;
    }
    at += 1;
    let hashes = bytes[at..].iter().take_while(|byte| **byte == b'#').count();
    at += hashes;
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut closing = vec![b'"'];
    closing.extend(std::iter::repeat_n(b'#', hashes));
    Some(find(bytes, at + 1, &closing).map_or(bytes.len(), |end| end + closing.len()))
}

/// The end of a character literal, or none where the quote begins a lifetime.
fn char_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start + 1) == Some(&b'\\') {
        return find(bytes, start + 3, b"'").map(|end| end + 1);
    }
    let length = std::str::from_utf8(&bytes[start + 1..])
        .ok()?
        .chars()
        .next()?
        .len_utf8();
    (bytes.get(start + 1 + length) == Some(&b'\'')).then_some(start + length + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let rows = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("f(\"x{y\\\"z\")", "f(        )"),
            ("r#\"a\"b\"# c", "         c"),
            ("for\"x\"", "for   "),
            ("b'{' c", "b    c"),
            ("'\\'' x", "     x"),
            ("'\\u{1F}' x", "         x"),
            ("&'a str", "&'a str"),
            ("'é' x", "     x"),
            ("\"unclosed", "         "),
        ];
        for (text, expected) in rows {
            assert_eq!(blank(text), expected, "{text}");
        }
    }

    #[test]
    fn test_modules_are_known() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { \"}\"; }\n}\nfn c() {}\n#[cfg(test)]\nmod more;\nfn d() {}\n";
        let source = Source::new("crates/x/src/lib.rs", text);
        let lines: Vec<_> = (0..9).filter(|line| source.is_test_line(*line)).collect();
        assert_eq!(lines, [1, 2, 3, 4, 6, 7]);
    }
}
