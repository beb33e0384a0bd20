//! What never stands in the source.

use super::source::Source;

/// Marks of work left undone, put together here so that this file does not bear them itself.
const UNDONE: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];
/// Code that gives up, anywhere.
const FORBIDDEN: &[&str] = &[
    concat!("#[", "ignore"),
    concat!("to", "do!("),
    concat!("unimplemented", "!("),
];
/// Code that may stand in tests only.
const TESTS_ONLY: &[&str] = &[concat!(".unwrap", "()")];

/// What is wrong in one file.
pub(crate) fn check(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    let mut report = |line: usize, word: &str| {
        problems.push(format!(
            "{}:{}: {word} has no place here",
            source.name,
            line + 1
        ));
    };
    for (number, line) in source.text.lines().enumerate() {
        UNDONE
            .iter()
            .filter(|word| has_word(line, word))
            .for_each(|word| report(number, word));
    }
    for (number, line) in source.code.lines().enumerate() {
        FORBIDDEN
            .iter()
            .filter(|word| line.contains(**word))
            .for_each(|word| report(number, word));
        if !source.is_test_line(number) {
            TESTS_ONLY
                .iter()
                .filter(|word| line.contains(**word))
                .for_each(|word| report(number, word));
        }
    }
    problems
}

/// Every manifest takes over the lints of the workspace.
pub(crate) fn check_manifest(path: &str, text: &str) -> Option<String> {
    let manifest: toml::Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return Some(format!("{path}: {error}")),
    };
    let obeys = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(toml::Value::as_bool);
    (obeys != Some(true)).then(|| format!("{path} lacks `[lints] workspace = true`"))
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !joins(line[..at].chars().next_back()) && !joins(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_words_are_found_where_they_matter() {
        let undone = UNDONE[0];
        let ignore = FORBIDDEN[0];
        let unwrap = TESTS_ONLY[0];
        let rows = [
            (format!("fn f() {{}} // {undone}: later"), 1),
            (format!("let s = \"{undone}\";"), 1),
            (format!("let {undone}S = 1;"), 0),
            (format!("{ignore}]\nfn t() {{}}"), 1),
            (format!("// {ignore}] is forbidden"), 0),
            (format!("fn f() {{ x{unwrap} }}"), 1),
            (format!("// x{unwrap}"), 0),
            (format!("fn f() {{ \"x{unwrap}\" }}"), 0),
            ("fn f() { x.unwrap_or(1) }".to_owned(), 0),
            (
                format!("#[cfg(test)]\nmod tests {{\n fn f() {{ x{unwrap} }}\n}}"),
                0,
            ),
            (
                format!("#[cfg(test)]\nmod tests {{\n}}\nfn f() {{ x{unwrap} }}"),
                1,
            ),
        ];
        for (text, expected) in rows {
            let problems = check(&Source::new("crates/x/src/lib.rs", &text));
            assert_eq!(problems.len(), expected, "{text}\n{problems:?}");
        }
        let in_tests = format!("fn f() {{ x{unwrap} }}");
        assert_eq!(
            check(&Source::new("crates/x/tests/a.rs", &in_tests)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_manifest_without_the_lints_fails() {
        assert_eq!(check_manifest("a", "[lints]\nworkspace = true\n"), None);
        for bad in [
            "[package]\n",
            "[lints]\nworkspace = false\n",
            "[lints.rust]\nunsafe_code='warn'\n",
            "[",
        ] {
            assert!(check_manifest("a", bad).is_some(), "{bad}");
        }
    }
}
