//! How long files and functions get.

use super::source::{Source, closing_brace, line_of};

/// Code lines of a file: blank lines, comments and tests aside.
pub(crate) const FILE_LINES_MAX: usize = 500;
/// Lines of a function from its `fn` to its closing brace; blank lines and comments aside.
pub(crate) const FUNCTION_LINES_MAX: usize = 70;

/// Something longer than it should be, by name, and how long.
pub(crate) type Exception = (&'static str, usize);

/// What is wrong with the lengths of files.
pub(crate) fn check_files(sources: &[Source], exceptions: &[Exception]) -> Vec<String> {
    let lengths = sources.iter().map(|source| {
        let lines = source.code.lines().enumerate();
        let count = lines
            .filter(|(number, line)| counts(source, *number, line))
            .count();
        (source.name.clone(), count)
    });
    ratchet(lengths.collect(), FILE_LINES_MAX, exceptions)
}

/// What is wrong with the lengths of functions, tests aside.
pub(crate) fn check_functions(sources: &[Source], exceptions: &[Exception]) -> Vec<String> {
    ratchet(
        sources.iter().flat_map(functions).collect(),
        FUNCTION_LINES_MAX,
        exceptions,
    )
}

/// Whoever is too long must be listed with the exact length; whoever is listed must need it.
fn ratchet(lengths: Vec<(String, usize)>, max: usize, exceptions: &[Exception]) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, length) in &lengths {
        let listed = exceptions
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, length)| *length);
        match listed {
            None if *length > max => {
                problems.push(format!(
                    "{name} has {length} lines, more than {max}: split it"
                ));
            }
            Some(listed) if *length <= max => {
                problems.push(format!("{name} ({listed}) fits now: take it off the list"));
            }
            Some(listed) if *length < listed => {
                problems.push(format!(
                    "{name} got shorter: write {length} for {listed} in the list"
                ));
            }
            Some(listed) if *length > listed => {
                problems.push(format!(
                    "{name} grew from {listed} to {length} lines: the list only shrinks"
                ));
            }
            _ => {}
        }
    }
    for (name, _) in exceptions {
        if !lengths.iter().any(|(other, _)| other == name) {
            problems.push(format!(
                "{name} is listed but does not exist: take it off the list"
            ));
        }
    }
    problems
}

fn counts(source: &Source, number: usize, line: &str) -> bool {
    !line.trim().is_empty() && !source.is_test_line(number)
}

/// The functions of a file as `file::function`, with their lengths.
fn functions(source: &Source) -> Vec<(String, usize)> {
    let code = &source.code;
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        if code[..at].chars().next_back().is_some_and(joins) {
            continue;
        }
        let name: String = code[at + 3..].chars().take_while(|c| joins(*c)).collect();
        let first = line_of(code, at);
        let Some(open) = body(&code[at..]).filter(|_| !name.is_empty()) else {
            continue;
        };
        if source.is_test_line(first) {
            continue;
        }
        let last = line_of(code, closing_brace(code, at + open));
        let lines = code.lines().enumerate().skip(first).take(last + 1 - first);
        let length = lines
            .filter(|(number, line)| counts(source, *number, line))
            .count();
        found.push((format!("{}::{name}", source.name), length));
    }
    found
}

/// Where a function's body begins, or none where it is only declared. The semicolon of `[u8; 5]` ends nothing.
fn body(signature: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in signature.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth <= 0 => return Some(at),
            b';' if depth <= 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(code_lines: usize, test_lines: usize) -> Source {
        let code = "const A: u8 = 1;\n// why\n\n".repeat(code_lines);
        let tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "const B: u8 = 1;\n".repeat(test_lines)
        );
        Source::new("crates/x/src/lib.rs", &(code + &tests))
    }

    #[test]
    fn long_files_fail_and_their_tests_do_not_count() {
        assert_eq!(
            check_files(&[file(FILE_LINES_MAX, 900)], &[]),
            Vec::<String>::new()
        );
        let problems = check_files(&[file(FILE_LINES_MAX + 1, 0)], &[]);
        assert_eq!(
            problems,
            ["crates/x/src/lib.rs has 501 lines, more than 500: split it"]
        );
    }

    #[test]
    fn long_functions_fail_wherever_they_stand() {
        let function = |lines: usize| {
            let body = "        let a = \"}\"; // {\n".repeat(lines - 2);
            Source::new(
                "f.rs",
                &format!(
                    "impl A {{\n    pub fn long(&self, a: [u8; 5])\n    {{\n{body}    }}\n    fn b();\n}}\n"
                ),
            )
        };
        assert_eq!(check_functions(&[function(69)], &[]), Vec::<String>::new());
        let problems = check_functions(&[function(70)], &[]);
        assert_eq!(
            problems,
            ["f.rs::long has 71 lines, more than 70: split it"]
        );
    }

    #[test]
    fn the_list_only_shrinks() {
        let rows = [
            (600, 600, None),
            (601, 600, Some("grew from 600 to 601")),
            (599, 600, Some("write 599 for 600")),
            (500, 600, Some("take it off the list")),
        ];
        for (length, listed, expected) in rows {
            let problems = ratchet(vec![("a".to_owned(), length)], 500, &[("a", listed)]);
            match expected {
                None => assert!(problems.is_empty(), "{problems:?}"),
                Some(text) => assert!(
                    problems.len() == 1 && problems[0].contains(text),
                    "{problems:?}"
                ),
            }
        }
        let problems = ratchet(Vec::new(), 500, &[("gone", 600)]);
        assert_eq!(
            problems,
            ["gone is listed but does not exist: take it off the list"]
        );
    }
}
