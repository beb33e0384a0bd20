//! Functions that the operator vouches for.

use std::fmt;

/// Functions that leave nothing behind in their session, by the word of whoever configures: `app.current_user_id`, or all
/// with a common beginning, `st_*`.
///
/// A name is compared with what a statement says, not with what it resolves to: `f` is not `public.f`. As in SQL, letters
/// outside double quotes count as lower-case. The `*` never spans a dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrustedFunction {
    schema: Option<Box<str>>,
    name: Box<str>,
    is_prefix: bool,
}

/// Why a text is no [`TrustedFunction`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no function's name: write name or schema.name, the last part may end in *; what is not a letter, digit, _ \
     or $ goes into double quotes"
)]
pub struct TrustedFunctionError {
    text: String,
}

impl TrustedFunction {
    /// Reads `name`, `schema.name`, `prefix*` or `schema.*`.
    pub fn parse(text: &str) -> Result<TrustedFunction, TrustedFunctionError> {
        let refused = || TrustedFunctionError {
            text: text.to_owned(),
        };
        let (pattern, is_prefix) = match text.trim().strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (text.trim(), false),
        };
        let (first, rest) = identifier(pattern).ok_or_else(refused)?;
        let (schema, name) = match rest.strip_prefix('.') {
            Some(rest) => {
                let (name, rest) = identifier(rest).ok_or_else(refused)?;
                if first.is_empty() || !rest.is_empty() {
                    return Err(refused());
                }
                (Some(first.into()), name)
            }
            None if rest.is_empty() => (None, first),
            None => return Err(refused()),
        };
        if name.is_empty() && !is_prefix {
            return Err(refused());
        }
        Ok(TrustedFunction {
            schema,
            name: name.into(),
            is_prefix,
        })
    }

    /// Whether a statement that calls this function, named in these parts, means one of these.
    pub(crate) fn covers(&self, parts: &[&str]) -> bool {
        let name = match (&self.schema, parts) {
            (None, [name]) => name,
            (Some(schema), [of, name]) if **schema == **of => name,
            _ => return false,
        };
        *self.name == **name || self.is_prefix && name.starts_with(&*self.name)
    }
}

/// Splits a name off, plain or in double quotes; it may be empty. `None` when the quotes are not closed.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let is_end = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'));
        let (name, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
        return Some((name.to_ascii_lowercase(), rest));
    };
    let mut name = String::new();
    loop {
        let (piece, after) = rest.split_once('"')?;
        name.push_str(piece);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

impl fmt::Display for TrustedFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", Quoted(schema))?;
        }
        write!(f, "{}", Quoted(&self.name))?;
        if self.is_prefix {
            f.write_str("*")?;
        }
        Ok(())
    }
}

/// A name as [`identifier`] reads it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain =
            |c: char| (c.is_alphanumeric() || matches!(c, '_' | '$')) && !c.is_ascii_uppercase();
        if self.0.chars().all(is_plain) {
            f.write_str(self.0)
        } else {
            write!(f, "\"{}\"", self.0.replace('"', "\"\""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_what_it_names() {
        #[track_caller]
        fn check(pattern: &str, parts: &[&str], expected: bool) {
            let function = TrustedFunction::parse(pattern).expect("a pattern");
            assert_eq!(function.covers(parts), expected, "{pattern} {parts:?}");
            assert_eq!(
                TrustedFunction::parse(&function.to_string()),
                Ok(function),
                "{pattern}"
            );
        }
        check("f", &["f"], true);
        check(" F ", &["f"], true);
        check("f", &["F"], false);
        check("f", &["ff"], false);
        check("f", &["s", "f"], false);
        check("f", &["s.f"], false);
        check("st_*", &["st_"], true);
        check("ST_*", &["st_distance"], true);
        check("st_*", &["st"], false);
        check("st_*", &["st_x", "f"], false);
        check("app.f", &["app", "f"], true);
        check("app.f", &["f"], false);
        check("app.f", &["app.f"], false);
        check("app.f", &["db", "app", "f"], false);
        check("app.*", &["app", "f"], true);
        check("app.*", &["app2", "f"], false);
        check("*", &["f"], true);
        check("*", &["app", "f"], false);
        check("app.\"currentUser\"", &["app", "currentUser"], true);
        check("\"a.b\"\"c\"*", &["a.b\"cd"], true);
        check("größe", &["größe"], true);
    }

    #[test]
    fn refuses_what_is_no_name() {
        for text in [
            "", " ", ".", "f.", ".f", "a.b.c", "*f", "s*.f", "f()", "a b", "f**", "\"f", "f\"",
            "\"\"",
        ] {
            assert!(TrustedFunction::parse(text).is_err(), "{text}");
        }
    }
}
