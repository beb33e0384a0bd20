//! Command lines: each `paceline …` is given to the real program with `--help` behind it, so that its parser reads every
//! argument and nothing is done. Settings are then checked by `paceline check`.

use paceline_testkit::Paceline;

use super::markdown::Page;

/// Flags whose value is a file that need not be there.
const FILES: [&str; 1] = ["--config"];

/// The command lines of a page that do not parse.
pub(crate) fn check(page: &Page) -> Vec<String> {
    let wrong = find(page)
        .into_iter()
        .filter_map(|(line, text)| Some((line, try_out(&text).err()?)));
    wrong
        .map(|(line, reason)| format!("{}:{line}: {reason}", page.path.display()))
        .collect()
}

/// Command lines in blocks of shell and text, and in code within the running text.
pub(crate) fn find(page: &Page) -> Vec<(usize, String)> {
    let mut found = page.inline_code();
    for block in &page.blocks {
        if matches!(&*block.language, "sh" | "text") {
            let text = block.text.replace("\\\n", " ");
            found.extend(text.lines().map(|line| (block.line, line.to_owned())));
        }
    }
    found.retain(|(_, text)| words(text).first().is_some_and(|word| word == "paceline"));
    found
}

fn try_out(text: &str) -> Result<(), String> {
    let mut arguments = words(text).split_off(1);
    // What is left out in the running text.
    arguments.retain(|argument| argument != "…");
    if arguments.is_empty() {
        return Ok(());
    }
    run(text, &arguments, "--help")?;
    if arguments[0] != "run" {
        return Ok(());
    }
    let mut settings = vec!["check".to_owned()];
    let mut rest = arguments.into_iter().skip(1);
    while let Some(argument) = rest.next() {
        if FILES.contains(&&*argument) {
            // A configuration that is not shown: what the line says besides cannot be judged.
            return Ok(());
        }
        settings.push(argument);
        settings.extend(rest.next());
    }
    let has_half = ["--upstream", "--database"]
        .iter()
        .any(|half| settings.iter().any(|setting| setting == half));
    if has_half {
        run(text, &settings, "--show")
    } else {
        Ok(())
    }
}

fn run(text: &str, arguments: &[String], last: &str) -> Result<(), String> {
    let ran = Paceline::command()
        .args(arguments)
        .arg(last)
        .output()
        .expect("the binary starts");
    if ran.status.success() {
        return Ok(());
    }
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Err(format!(
        "`{text}`: {}",
        said.lines().next().unwrap_or_default()
    ))
}

/// The words of one command of a shell line, up to a comment or a pipe, without a prompt.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.trim_start_matches("$ ").chars() {
        match (letter, quote) {
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, Some(open)) if letter == open => quote = None,
            ('#', None) if word.is_none() => break,
            ('|' | '>' | '&' | ';', None) => break,
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[test]
fn lines_are_split_as_a_shell_does() {
    let rows = [
        (
            "$ paceline load --x 'a b'  # c",
            &["paceline", "load", "--x", "a b"][..],
        ),
        ("paceline a#b \"\" | jq '.x'", &["paceline", "a#b", ""]),
        ("# paceline", &[]),
    ];
    for (line, expected) in rows {
        assert_eq!(words(line), expected, "{line}");
    }
}

#[test]
fn a_wrong_command_line_is_seen() {
    let text = "Try `paceline load --ulr http://127.0.0.1:1`, `paceline load --url x` and `paceline`.\n\
                ```sh\nPACELINE_ADMIN_URL=x paceline y\npaceline run \\\n  --mode fxi --upstream http://127.0.0.1:1\n\
                paceline lod # no\npaceline run --config x.toml\npaceline diagnose --fail-on severe | cat\n```\n";
    let problems = check(&Page::new(std::path::Path::new("x.md"), text));
    let expected = ["--ulr", "fxi", "lod", "severe"];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, part) in problems.iter().zip(expected) {
        assert!(problem.contains(part), "{problem}");
    }
}
