//! `PACELINE__GATEWAY__LISTEN=…`: one variable per key, two underscores for a dot.

use std::ffi::OsString;

use super::input::{Input, Setting};
use super::problem::{Origin, Problem};

/// What every variable of ours begins with.
pub(crate) const PREFIX: &str = "PACELINE__";

/// The settings among the variables. Whether their keys exist is decided later, as for a file.
pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> (Vec<Setting>, Vec<Problem>) {
    let mut settings = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in variables {
        let variable = name.to_string_lossy().into_owned();
        let Some(rest) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let path = rest
            .split("__")
            .map(str::to_ascii_lowercase)
            .collect::<Vec<_>>()
            .join(".");
        let origin = Origin::Environment {
            variable: variable.clone(),
        };
        match value.into_string() {
            Ok(text) => settings.push(Setting {
                path,
                input: Input::Untyped(text),
                origin,
            }),
            Err(_) => problems.push(Problem::error(origin, None, "the value is not UTF-8")),
        }
    }
    settings.sort_by(|one, other| one.path.cmp(&other.path));
    (settings, problems)
}

/// The variable of a key.
pub(crate) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_paths() {
        let rows = [
            ("PACELINE__GATEWAY__LISTEN", Some("gateway.listen")),
            ("PACELINE__MODE", Some("mode")),
            ("PACELINE__Gateway__Listen", Some("gateway.listen")),
            ("PACELINE__", Some("")),
            ("PACELINE_CONFIG", None),
            ("PATH", None),
        ];
        for (name, expected) in rows {
            let (settings, problems) = read([(name.into(), "x".into())]);
            assert_eq!(
                settings.first().map(|s| s.path.as_str()),
                expected,
                "{name}"
            );
            assert_eq!(problems, []);
        }
        assert_eq!(variable("gateway.listen"), "PACELINE__GATEWAY__LISTEN");
    }

    #[test]
    fn a_value_that_is_not_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt as _;
        let (settings, problems) =
            read([("PACELINE__MODE".into(), OsString::from_vec(vec![0xff]))]);
        assert_eq!((settings.len(), problems.len()), (0, 1));
    }
}
