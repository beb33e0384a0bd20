//! The few values of an execution that are looked at: see [`paceline_sql::Watched`].

use paceline_sql::{Statement, Values, WatchedParameter};

/// What the values of an execution tell. `rest` is what stands behind the names of its Bind, or the first part of that. Hardly any
/// statement has such values; then this is one branch.
#[inline]
pub(crate) fn values(statement: &Statement, rest: &[u8]) -> Values {
    if !statement.shape.has_watched {
        return Values::default();
    }
    statement
        .watched
        .values(|number| parameter(rest, number.into()))
}

/// The parameter of this number, counted from 1, unless it is NULL or not all there.
fn parameter(rest: &[u8], number: u16) -> Option<WatchedParameter<'_>> {
    let mut rest = rest;
    let formats = usize::from(take_u16(&mut rest)?);
    let (formats, mut rest) = rest.split_at_checked(formats * 2)?;
    let count = take_u16(&mut rest)?;
    if !(1..=count).contains(&number) {
        return None;
    }
    let mut value = None;
    for _ in 0..number {
        let (len, behind) = rest.split_first_chunk()?;
        rest = behind;
        value = match usize::try_from(i32::from_be_bytes(*len)) {
            Ok(len) => {
                let (bytes, behind) = rest.split_at_checked(len)?;
                rest = behind;
                Some(bytes)
            }
            Err(_) => None,
        };
    }
    let is_binary = match formats {
        [] => false,
        [_, all] => *all != 0,
        each => each.get(usize::from(number) * 2 - 1) == Some(&1),
    };
    value.map(|bytes| WatchedParameter { bytes, is_binary })
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u16::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use paceline_sql::{Limits, Statements};

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

    #[test]
    fn an_offset_and_a_pattern_are_read_and_nothing_else() {
        let statements = Statements::new(Limits::default());
        let of = |text: &str, rest: &[u8]| values(&statements.learn(text), rest);
        let text = "SELECT a FROM t WHERE b = $3 AND c ILIKE $2 LIMIT 10 OFFSET $1";
        let both: [Option<&[u8]>; 3] = [Some(&[0, 0, 4, 0]), Some(b"%x"), Some(b"7")];
        let found = of(text, &rest(&[1, 0, 0], &both));
        assert_eq!((found.offset, found.leading), (Some(1_024), 1));
        let as_text: [Option<&[u8]>; 3] = [Some(b"40"), Some(b"x%"), None];
        let found = of(text, &rest(&[], &as_text));
        assert_eq!((found.offset, found.leading), (Some(40), 0));
        let all_binary: [Option<&[u8]>; 3] = [Some(&[0, 0, 0, 0, 0, 0, 0, 9]), Some(b"_"), None];
        let found = of(text, &rest(&[1], &all_binary));
        assert_eq!((found.offset, found.leading), (Some(9), 1));
        let nothing: [Option<&[u8]>; 3] = [None, None, None];
        assert!(of(text, &rest(&[], &nothing)).is_empty());
        // A text without such values, and one whose values stand in it.
        assert!(of("SELECT a FROM t WHERE b = $1", &rest(&[], &as_text)).is_empty());
        assert_eq!(of("SELECT a FROM t OFFSET 12", &[]).offset, Some(12));
    }

    #[test]
    fn whatever_part_is_there_is_read() {
        let statements = Statements::new(Limits::default());
        let statement = statements.learn("SELECT a FROM t WHERE c LIKE $1 OFFSET $2");
        let parameters: [Option<&[u8]>; 2] = [Some(b"%x"), Some(b"5")];
        let whole = rest(&[0, 0], &parameters);
        for len in 0..=whole.len() {
            let found = values(&statement, &whole[..len]);
            // The formats, the count, and both with their lengths.
            let (first, second) = (6 + 2 + 4 + 2, 6 + 2 + 4 + 2 + 4 + 1);
            assert_eq!(found.leading, u8::from(len >= first), "{len}");
            assert_eq!(found.offset, (len >= second).then_some(5), "{len}");
        }
    }
}
