//! What a key takes: one variant per kind of value, each with access to its place in the draft.
//!
//! The same variant reads a value, shows it and names it in the reference, so that these can never disagree.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::draft::Draft;
use super::input::Input;
use super::problem::Origin;
use super::units;

/// The place of a value in the draft: in that of the whole, or in that of one row of an array of tables.
type At<T, D> = fn(&mut D) -> &mut T;

/// What a key takes.
pub(super) enum Field<D: 'static = Draft> {
    Flag(At<bool, D>),
    Count(At<usize, D>, RangeInclusive<usize>),
    /// A number that need not be set.
    OptionalCount(At<Option<usize>, D>, RangeInclusive<usize>),
    SmallCount(At<u32, D>, RangeInclusive<u32>),
    /// The range is in milliseconds.
    Duration(At<Duration, D>, RangeInclusive<u64>),
    /// A duration that need not be set.
    OptionalDuration(At<Option<Duration>, D>, RangeInclusive<u64>),
    /// In bytes.
    Size(At<usize, D>, RangeInclusive<usize>),
    Address(At<SocketAddr, D>),
    Path(At<Option<PathBuf>, D>),
    /// One of a few words.
    Choice(&'static [&'static str], Text<D>),
    /// Text that another crate parses. The form says what it may look like.
    Parsed(&'static str, Text<D>),
    /// The same, and it is never shown.
    Secret(&'static str, Text<D>),
    /// A list of texts that another crate parses, one by one.
    List(&'static str, List<D>),
}

/// How one text is parsed into the draft, and shown.
pub(super) struct Text<D: 'static = Draft> {
    pub(super) set: fn(&mut D, &str) -> Result<(), String>,
    pub(super) show: fn(&D) -> Option<String>,
}

/// How a list is emptied, filled and shown.
pub(super) struct List<D: 'static = Draft> {
    pub(super) clear: fn(&mut D),
    pub(super) push: fn(&mut D, &str) -> Result<(), String>,
    pub(super) show: fn(&D) -> Vec<String>,
}

/// Why a value was refused. The place is that of an element within a list, where it is known.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) place: Option<Origin>,
    pub(super) message: String,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self {
            place: None,
            message,
        }
    }
}

impl<D: 'static> Field<D> {
    /// Reads a value into the draft.
    pub(super) fn set(&self, draft: &mut D, input: &Input) -> Result<(), Vec<Refusal>> {
        if let Self::List(form, list) = self {
            return self.set_list(draft, form, list, input);
        }
        self.set_single(draft, input)
            .map_err(|message| vec![message.into()])
    }

    /// The value as it stands in the draft, in the form in which it would be configured. None: nothing is set.
    pub(super) fn show(&self, draft: &mut D) -> Option<String> {
        match self {
            Self::Flag(at) => Some(at(draft).to_string()),
            Self::Count(at, _) => Some(at(draft).to_string()),
            Self::OptionalCount(at, _) => at(draft).map(|count| count.to_string()),
            Self::SmallCount(at, _) => Some(at(draft).to_string()),
            Self::Duration(at, _) => Some(quoted(&units::show_duration(*at(draft)))),
            Self::OptionalDuration(at, _) => {
                at(draft).map(|duration| quoted(&units::show_duration(duration)))
            }
            Self::Size(at, _) => Some(quoted(&units::show_size(*at(draft) as u64))),
            Self::Address(at) => Some(quoted(&at(draft).to_string())),
            Self::Path(at) => at(draft)
                .as_ref()
                .map(|path| quoted(&path.display().to_string())),
            Self::Choice(_, text) | Self::Parsed(_, text) | Self::Secret(_, text) => {
                (text.show)(draft).map(|text| quoted(&text))
            }
            Self::List(_, list) => {
                let elements: Vec<_> = (list.show)(draft).iter().map(|text| quoted(text)).collect();
                Some(format!("[{}]", elements.join(", ")))
            }
        }
    }

    /// What the key takes, in words that fit after "expected".
    pub(super) fn form(&self) -> String {
        match self {
            Self::Flag(_) => "true or false".to_owned(),
            Self::Count(_, range) | Self::OptionalCount(_, range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
            Self::SmallCount(_, range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
            Self::Duration(..) | Self::OptionalDuration(..) => units::DURATION_FORM.to_owned(),
            Self::Size(..) => units::SIZE_FORM.to_owned(),
            Self::Address(_) => ADDRESS_FORM.to_owned(),
            Self::Path(_) => "the path of a file".to_owned(),
            Self::Choice(words, _) => {
                let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
                format!("one of {}", words.join(", "))
            }
            Self::Parsed(form, _) | Self::Secret(form, _) => (*form).to_owned(),
            Self::List(form, _) => format!("a list, each {form}"),
        }
    }

    /// The kind and limits of the value for the reference.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Flag(_) => "boolean".to_owned(),
            Self::Count(_, range) | Self::OptionalCount(_, range) => {
                format!("number, {} to {}", range.start(), range.end())
            }
            Self::SmallCount(_, range) => format!("number, {} to {}", range.start(), range.end()),
            Self::Duration(_, range) | Self::OptionalDuration(_, range) => {
                format!(
                    "duration, {} to {}",
                    shown_millis(range.start()),
                    shown_millis(range.end())
                )
            }
            Self::Size(_, range) => {
                let show = |bytes: &usize| units::show_size(*bytes as u64);
                format!("size, {} to {}", show(range.start()), show(range.end()))
            }
            Self::Address(_) => "address".to_owned(),
            Self::Path(_) => "path".to_owned(),
            Self::Choice(words, _) => words.join(" or "),
            Self::Parsed(..) => "text".to_owned(),
            Self::Secret(..) => "text, secret".to_owned(),
            Self::List(..) => "list of texts".to_owned(),
        }
    }

    fn set_single(&self, draft: &mut D, input: &Input) -> Result<(), String> {
        let text = || input.text().ok_or_else(|| self.unexpected(input));
        match self {
            Self::Flag(at) => *at(draft) = self.flag(input)?,
            Self::Count(at, range) => *at(draft) = self.number(input, range)?,
            Self::SmallCount(at, range) => *at(draft) = self.number(input, range)?,
            Self::OptionalCount(at, range) => *at(draft) = Some(self.number(input, range)?),
            Self::Duration(at, range) => *at(draft) = self.duration(input, range)?,
            Self::OptionalDuration(at, range) => *at(draft) = Some(self.duration(input, range)?),
            Self::Size(at, range) => {
                let bytes = units::parse_size(self.with_unit(input)?)?;
                *at(draft) = usize::try_from(bytes)
                    .ok()
                    .filter(|bytes| range.contains(bytes))
                    .ok_or_else(|| out_of_range(bytes, range))?;
            }
            Self::Address(at) => {
                *at(draft) = text()?.parse().map_err(|_| self.unexpected(input))?;
            }
            Self::Path(at) => {
                let path = text()?;
                if path.is_empty() {
                    return Err(self.unexpected(input));
                }
                *at(draft) = Some(PathBuf::from(path));
            }
            Self::Choice(words, choice) => {
                let word = text()?;
                if !words.contains(&word) {
                    return Err(self.unexpected(input));
                }
                (choice.set)(draft, word)?;
            }
            Self::Parsed(_, parsed) | Self::Secret(_, parsed) => {
                (parsed.set)(draft, text()?)
                    .map_err(|reason| format!("{reason}; expected {}", self.form()))?;
            }
            Self::List(..) => return Err(self.unexpected(input)),
        }
        Ok(())
    }

    fn set_list(
        &self,
        draft: &mut D,
        form: &str,
        list: &List<D>,
        input: &Input,
    ) -> Result<(), Vec<Refusal>> {
        let elements: Vec<(Input, Option<Origin>)> = match input {
            Input::List(elements) => elements
                .iter()
                .map(|(input, place)| (input.clone(), Some(place.clone())))
                .collect(),
            // From the environment and the command line: separated by commas, nothing is the empty list.
            Input::Untyped(text) => text
                .split(',')
                .map(str::trim)
                .filter(|element| !element.is_empty())
                .map(|element| (Input::Untyped(element.to_owned()), None))
                .collect(),
            other => return Err(vec![self.unexpected(other).into()]),
        };
        (list.clear)(draft);
        let mut refusals = Vec::new();
        for (element, place) in elements {
            let outcome = match element.text() {
                Some(text) => (list.push)(draft, text),
                None => Err(format!(
                    "expected {form}, found {}",
                    element.describe(false)
                )),
            };
            refusals.extend(outcome.err().map(|message| Refusal { place, message }));
        }
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(refusals)
        }
    }

    fn flag(&self, input: &Input) -> Result<bool, String> {
        match input {
            Input::Flag(flag) => Ok(*flag),
            Input::Untyped(text) => text.parse().map_err(|_| self.unexpected(input)),
            _ => Err(self.unexpected(input)),
        }
    }

    fn number<N: FromStr + PartialOrd>(
        &self,
        input: &Input,
        range: &RangeInclusive<N>,
    ) -> Result<N, String> {
        let (Input::Integer(digits) | Input::Untyped(digits)) = input else {
            return Err(self.unexpected(input));
        };
        let number = digits.trim().parse().ok();
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.unexpected(input))
    }

    fn duration(&self, input: &Input, range: &RangeInclusive<u64>) -> Result<Duration, String> {
        let duration = units::parse_duration(self.with_unit(input)?)?;
        let limits = Duration::from_millis(*range.start())..=Duration::from_millis(*range.end());
        if !limits.contains(&duration) {
            let shown = units::show_duration(duration);
            let (low, high) = (shown_millis(range.start()), shown_millis(range.end()));
            return Err(format!("{shown} is out of range, which is {low} to {high}"));
        }
        Ok(duration)
    }

    /// The text of a value with a unit. A bare number gets told which unit it lacks.
    fn with_unit<'i>(&self, input: &'i Input) -> Result<&'i str, String> {
        match input {
            Input::Integer(digits) => Err(format!(
                "expected {}, found the number {digits}, which has no unit",
                self.form()
            )),
            _ => input.text().ok_or_else(|| self.unexpected(input)),
        }
    }

    fn unexpected(&self, input: &Input) -> String {
        let secret = matches!(self, Self::Secret(..));
        format!("expected {}, found {}", self.form(), input.describe(secret))
    }
}

const ADDRESS_FORM: &str = "an address and port such as \"127.0.0.1:8080\" or \"[::1]:8080\"";

fn out_of_range(bytes: u64, range: &RangeInclusive<usize>) -> String {
    let show = |bytes: usize| units::show_size(bytes as u64);
    let (low, high) = (show(*range.start()), show(*range.end()));
    format!(
        "{} is out of range, which is {low} to {high}",
        units::show_size(bytes)
    )
}

fn shown_millis(millis: &u64) -> String {
    units::show_duration(Duration::from_millis(*millis))
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
