//! PgBouncer's file of users: a line `"name" "password or verifier"` for each.
//!
//! A quote within quotes is doubled. What follows the second text of a line is ignored, as are empty lines and those that begin
//! with `;` or `#`.

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not of the form \"name\" \"password\": {problem}")]
pub(crate) struct UserlistError {
    line: usize,
    problem: &'static str,
}

/// The names and secrets of a file's text, in its order.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, UserlistError> {
    let mut users = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        let wrong = |problem| UserlistError {
            line: number + 1,
            problem,
        };
        let (name, rest) = quoted(line).map_err(wrong)?;
        let (secret, _) = quoted(rest.trim_start()).map_err(wrong)?;
        if name.is_empty() {
            return Err(wrong("the name is empty"));
        }
        users.push((name, secret));
    }
    Ok(users)
}

/// A text in quotes at the beginning, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut rest = text.strip_prefix('"').ok_or("a quote is missing")?;
    let mut found = String::new();
    loop {
        let (before, after) = rest.split_once('"').ok_or("the closing quote is missing")?;
        found.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                found.push('"');
                rest = after;
            }
            None if found.contains('\0') => return Err("there is a zero byte in it"),
            None => return Ok((found, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected = expected
            .iter()
            .map(|(name, secret)| ((*name).to_owned(), (*secret).to_owned()));
        assert_eq!(parse(text), Ok(expected.collect()));
    }

    #[test]
    fn files_of_pgbouncer_are_read() {
        check("", &[]);
        check(
            "\"ann\" \"pw\"\n; a comment\n# another\n\n  \"bob\"\t\"md5abc\" extra\r\n",
            &[("ann", "pw"), ("bob", "md5abc")],
        );
        check("\"a\"\"b\" \"p\"\"\"", &[("a\"b", "p\"")]);
        check("\"ann\" \"\"", &[("ann", "")]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_without_the_secret() {
        for text in [
            "ann pw",
            "\"ann\"",
            "\"ann\" \"secret",
            "\"ann\" secret",
            "\"\" \"secret\"",
            "\"ann\" \"sec\0ret\"",
        ] {
            let error = parse(&format!("\n{text}")).unwrap_err().to_string();
            assert!(error.starts_with("line 2 "), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn whatever_is_written_is_read_again_and_no_bytes_make_it_panic() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let letter =
                |random: &mut fastrand::Rng| *random.choice(b"\"\" a;#\n\\x\t\0").unwrap() as char;
            let len = random.usize(..12);
            let text: String = (0..len).map(|_| letter(&mut random)).collect();
            let _ = parse(&text);
            let name = text.replace(['\n', '\0'], "");
            let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let line = format!("{} {}", quote(&format!("n{name}")), quote(&name));
            let parsed = parse(&line).unwrap();
            assert_eq!(parsed, [(format!("n{name}"), name)]);
        }
    }
}
