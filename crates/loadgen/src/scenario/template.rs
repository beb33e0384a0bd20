use fastrand::Rng;
use std::fmt::Write;

/// Text with generated values in it.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Integer { from: i64, to: i64 },
    Pick(Vec<String>),
    Hex { digits: usize },
    Sequence,
}

/// What a brace means that begins no generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Braces {
    /// A mistake.
    Refused,
    /// Itself, as JSON needs it.
    Literal,
}

const HEX_DIGITS_MAX: usize = 4096;

impl Template {
    pub(crate) fn parse(text: &str, braces: Braces) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            literal.push_str(&rest[..open]);
            let (inside, after) = match rest[open..]
                .strip_prefix('{')
                .and_then(|r| r.split_once('}'))
            {
                Some((inside, after)) if braces == Braces::Refused || looks_generated(inside) => {
                    (inside, after)
                }
                _ if braces == Braces::Refused => return Err(unknown(&rest[open..])),
                _ => {
                    literal.push_str(&rest[open..=open]);
                    rest = &rest[open + 1..];
                    continue;
                }
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(generator(inside)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// Every text that it can be made of: the literals, and the words to pick from. What else is
    /// generated is digits.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .flat_map(|part| match part {
                Part::Literal(text) => std::slice::from_ref(text),
                Part::Pick(words) => words,
                _ => &[],
            })
            .map(String::as_str)
    }

    pub(crate) fn generate(&self, rng: &mut Rng, sequence: u64) -> String {
        let mut text = String::with_capacity(64);
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                // Writing to a string cannot fail.
                Part::Integer { from, to } => drop(write!(text, "{}", rng.i64(*from..=*to))),
                Part::Pick(words) => text.push_str(&words[rng.usize(..words.len())]),
                Part::Hex { digits } => {
                    text.extend((0..*digits).map(|_| rng.digit(16)));
                }
                Part::Sequence => drop(write!(text, "{sequence}")),
            }
        }
        text
    }
}

/// Whether somebody who wrote this between braces meant a generator, in a text that may be JSON.
fn looks_generated(inside: &str) -> bool {
    inside == "seq"
        || inside.starts_with("pick:")
        || inside.starts_with("hex:")
        || inside
            .trim_start_matches('-')
            .starts_with(|c: char| c.is_ascii_digit())
}

fn generator(inside: &str) -> Result<Part, String> {
    if inside == "seq" {
        return Ok(Part::Sequence);
    }
    if let Some(words) = inside.strip_prefix("pick:") {
        let words: Vec<String> = words.split('|').map(str::to_owned).collect();
        if words == [""] {
            return Err("{pick:} has nothing to pick from".to_owned());
        }
        return Ok(Part::Pick(words));
    }
    if let Some(digits) = inside.strip_prefix("hex:") {
        return match digits.parse() {
            Ok(digits @ 1..=HEX_DIGITS_MAX) => Ok(Part::Hex { digits }),
            _ => Err(format!(
                "{{hex:N}} makes between 1 and {HEX_DIGITS_MAX} digits"
            )),
        };
    }
    let (from, to) = inside
        .split_once("..")
        .ok_or_else(|| unknown(&format!("{{{inside}}}")))?;
    match (from.trim().parse(), to.trim().parse()) {
        (Ok(from), Ok(to)) if from <= to => Ok(Part::Integer { from, to }),
        (Ok(_), Ok(_)) => Err(format!("{{{inside}}} is an empty range")),
        _ => Err(format!("{{{inside}}} needs an integer at either end")),
    }
}

fn unknown(found: &str) -> String {
    let shown: String = found.chars().take(30).collect();
    format!(
        "\"{shown}\" is no generator; there are {{1..100}}, {{pick:a|b}}, {{hex:16}} and {{seq}}"
    )
}
