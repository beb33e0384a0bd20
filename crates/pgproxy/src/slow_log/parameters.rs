//! Parameters as the slow log shows them.

use std::fmt;

/// So many are shown.
const SHOWN_MAX: usize = 20;
/// So much of each is shown.
const SHOWN_BYTES_MAX: usize = 200;

/// The parameters of one execution: bounded, and in words for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownParameters {
    values: Box<[Option<String>]>,
    /// There were more, or the last one has no end.
    is_cut: bool,
}

impl ShownParameters {
    /// From what stands behind the names of a Bind, or from the first part of that.
    pub(crate) fn of(rest: &[u8]) -> Self {
        let mut values = Vec::new();
        let is_whole = read(rest, &mut values).is_some();
        Self {
            values: values.into(),
            is_cut: !is_whole,
        }
    }

    /// Each as text; bytes in hexadecimal digits after `\x`; `None` is NULL. What was cut off is an ellipsis.
    pub fn values(&self) -> impl Iterator<Item = Option<&str>> {
        let ellipsis = self.is_cut.then_some(Some("…"));
        self.values.iter().map(Option::as_deref).chain(ellipsis)
    }
}

/// As Postgres' own log shows them.
impl fmt::Display for ShownParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.values.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}${} = ", index + 1)?;
            match value {
                Some(value) => write!(f, "'{}'", value.replace('\'', "''"))?,
                None => f.write_str("NULL")?,
            }
        }
        f.write_str(if self.is_cut { " …" } else { "" })
    }
}

/// `None`: not all are there, or not all are shown.
fn read(mut rest: &[u8], values: &mut Vec<Option<String>>) -> Option<()> {
    let formats = usize::from(number(&mut rest)?);
    let (formats, mut rest) = rest.split_at_checked(formats * 2)?;
    let is_binary = |index: usize| {
        let code = match formats {
            [] => return false,
            [_, code] => code,
            _ => formats.get(index * 2 + 1).unwrap_or(&0),
        };
        *code != 0
    };
    let count = usize::from(number(&mut rest)?);
    for index in 0..count.min(SHOWN_MAX) {
        let (len, behind) = rest.split_first_chunk()?;
        rest = behind;
        let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else {
            values.push(None);
            continue;
        };
        let there = &rest[..len.min(rest.len())];
        values.push(Some(shown(there, len, is_binary(index))));
        rest = rest.get(len..)?;
    }
    (count <= SHOWN_MAX).then_some(())
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u16::from_be_bytes(*number))
}

/// A value of `len` bytes, of which at least the beginning is there.
fn shown(there: &[u8], len: usize, is_binary: bool) -> String {
    let max = if is_binary {
        SHOWN_BYTES_MAX / 2
    } else {
        SHOWN_BYTES_MAX
    };
    let mut kept = there.len().min(max);
    let mut text = if is_binary {
        let digits = there[..kept].iter().map(|byte| format!("{byte:02x}"));
        std::iter::once("\\x".to_owned()).chain(digits).collect()
    } else {
        // No character is cut in two.
        let is_inside = |at: usize| there.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        while kept > max - 4 && is_inside(kept) {
            kept -= 1;
        }
        String::from_utf8_lossy(&there[..kept]).into_owned()
    };
    if kept < len {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(formats: &[u16], values: &[Option<&[u8]>]) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut put = |number: usize| rest.extend(u16::try_from(number).unwrap().to_be_bytes());
        put(formats.len());
        formats.iter().for_each(|format| put((*format).into()));
        put(values.len());
        for value in values {
            let len = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            rest.extend(len.to_be_bytes());
            rest.extend(value.unwrap_or_default());
        }
        rest.extend([0, 0]);
        rest
    }

    fn lens(shown: &ShownParameters) -> Vec<usize> {
        let lens = shown.values().flatten().map(|value| value.chars().count());
        lens.collect()
    }

    #[test]
    fn text_is_text_bytes_are_digits_and_null_is_null() {
        let values: [Option<&[u8]>; 3] = [Some(b"it's"), None, Some(b"\x00\xff")];
        let shown = ShownParameters::of(&rest(&[0, 0, 1], &values));
        let expected = [Some("it's"), None, Some("\\x00ff")];
        assert_eq!(shown.values().collect::<Vec<_>>(), expected);
        assert_eq!(shown.to_string(), "$1 = 'it''s', $2 = NULL, $3 = '\\x00ff'");
        let all_binary = ShownParameters::of(&rest(&[1], &[Some(b"a"), Some(b"b")]));
        assert_eq!(all_binary.to_string(), "$1 = '\\x61', $2 = '\\x62'");
        assert_eq!(ShownParameters::of(&rest(&[], &[])).to_string(), "");
    }

    #[test]
    fn both_the_number_and_the_length_are_bounded() {
        let many = vec![Some(&b"x"[..]); SHOWN_MAX];
        assert_eq!(
            ShownParameters::of(&rest(&[], &many)).values().count(),
            SHOWN_MAX
        );
        let more = vec![Some(&b"x"[..]); SHOWN_MAX + 1];
        let shown = ShownParameters::of(&rest(&[], &more));
        assert_eq!(shown.values().count(), SHOWN_MAX + 1);
        assert!(shown.to_string().ends_with("$20 = 'x' …"), "{shown}");
        let long = vec![b'x'; 1000];
        let shown = ShownParameters::of(&rest(&[0, 1], &[Some(&long), Some(&long)]));
        assert_eq!(lens(&shown), [SHOWN_BYTES_MAX + 1, 2 + SHOWN_BYTES_MAX + 1]);
        // A character of two bytes across the bound.
        let odd = format!("x{}", "é".repeat(200));
        let shown = ShownParameters::of(&rest(&[], &[Some(odd.as_bytes())]));
        assert_eq!(
            shown.values().next(),
            Some(Some(&*format!("x{}…", "é".repeat(99))))
        );
    }

    #[test]
    fn whatever_part_is_there_is_shown() {
        let whole = rest(&[0], &[Some(b"abc"), Some(b"defg")]);
        for len in 0..whole.len() {
            let shown = ShownParameters::of(&whole[..len]).to_string();
            assert!(shown.len() < 40, "{shown}");
        }
        let shown = ShownParameters::of(&whole[..4 + 2 + 7 + 4 + 2]);
        assert_eq!(shown.to_string(), "$1 = 'abc', $2 = 'de…' …");
    }
}
