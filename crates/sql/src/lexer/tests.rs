use proptest::prelude::*;

use super::*;

/// The tokens as `kind:text`, and `!` where the lexer gives up.
fn check(text: &str, expected: &str) {
    let tokens: Vec<String> = Lexer::new(text)
        .map(|token| match token {
            Ok(token) => format!("{:?}:{}", token.kind, &text[token.start..token.end]),
            Err(Broken) => "!".to_owned(),
        })
        .collect();
    assert_eq!(tokens.join(" "), expected, "{text:?}");
}

#[test]
fn lexes_names() {
    check("", "");
    check(" \t\n\r\x0b\x0c", "");
    check("Select _a$1 é9", "Word:Select Word:_a$1 Word:é9");
    check(r#""a ""b""" U&"x""#, r#"Quoted:"a ""b""" Quoted:U&"x""#);
    check("\"open", "!");
    check(
        "a.b::c[1]",
        "Word:a Dot:. Word:b Cast::: Word:c OpenBracket:[ Integer:1 CloseBracket:]",
    );
    check("u&1 e b", "Word:u Operator:& Integer:1 Word:e Word:b");
}

#[test]
fn lexes_strings() {
    check("'a''b'", "String:'a''b'");
    check("'a' 'b'", "String:'a' String:'b'");
    check("'a'\n  'b'", "String:'a'\n  'b'");
    check(
        "'a' -- c\n -- d\n 'b'x",
        "String:'a' -- c\n -- d\n 'b' Word:x",
    );
    check("'a' /* c */\n 'b'", "String:'a' String:'b'");
    check("'a'\n\"b\"", "String:'a' Quoted:\"b\"");
    check("'a'\n-- end", "String:'a'");
    check("'open", "!");
    check("'a'\n'open", "!");
    check(r"E'a\'b' e'\\'", r"String:E'a\'b' String:e'\\'");
    check(r"E'\'", "!");
    check(r"'\'", r"String:'\'");
    check("E'a'\n'\\'b'", "String:E'a'\n'\\'b'");
    check(
        "b'01' X'1f' n'x' U&'d'",
        "Bits:b'01' Hex:X'1f' NationalString:n'x' UnicodeString:U&'d'",
    );
    check("b'0''1'", "Bits:b'0' String:'1'");
    check("$$a'b$$ $x$a$$b$x$", "String:$$a'b$$ String:$x$a$$b$x$");
    check("$x$ open $y$", "!");
    check("a$$b$$", "Word:a$$b$$");
    check("$é$x$é$", "String:$é$x$é$");
}

#[test]
fn lexes_numbers_and_parameters() {
    check(
        "1 0 123456789 2147483647 2147483648 0002147483647 99999999999999999999999",
        "Integer:1 Integer:0 Integer:123456789 Integer:2147483647 Number:2147483648 Integer:0002147483647 Number:99999999999999999999999",
    );
    check(
        "1.5 .5 1. 1e5 1.e-5 .5E+5",
        "Number:1.5 Number:.5 Number:1. Number:1e5 Number:1.e-5 Number:.5E+5",
    );
    check(
        "1_000 1_000.5 0x1F 0b1 0o7 0x_f 0x7fff_ffff 0x8000_0000",
        "Integer:1_000 Number:1_000.5 Integer:0x1F Integer:0b1 Integer:0o7 Integer:0x_f Integer:0x7fff_ffff Number:0x8000_0000",
    );
    check("1..2", "Integer:1 Other:.. Integer:2");
    check("$1 $23", "Param:$1 Param:$23");
    for junk in [
        "1a", "1e", "1.5x", "0x", "0xg", "0b2", "1__0", "1_", "$1a", "$", "$a", "1_a",
    ] {
        check(junk, "!");
    }
}

#[test]
fn lexes_operators_and_comments() {
    check("a=-1", "Word:a Operator:= Operator:- Integer:1");
    check("a<@-1", "Word:a Operator:<@- Integer:1");
    check("a-- b\n-c", "Word:a Operator:- Word:c");
    check("a*/*b*/c", "Word:a Operator:* Word:c");
    check("a//**/b", "Word:a Operator:/ Word:b");
    check("a /* b /* c */ d */ e", "Word:a Word:e");
    check("a /* b /* c */ d", "Word:a !");
    check("/*/", "!");
    check("a := b : c", "Word:a Other::= Word:b Other:: Word:c");
    check("(),;", "Open:( Close:) Comma:, Semicolon:;");
    check("a \\ b", "Word:a !");
    check("a \u{1}", "Word:a !");
    check("- --", "Operator:-");
}

/// The tokens' places by Postgres's own scanner; `None` when it refuses the text.
fn scanned(text: &str) -> Option<Vec<(usize, usize)>> {
    use pg_query::protobuf::Token as Scanned;
    let tokens = pg_query::scan(text).ok()?.tokens;
    let is_comment =
        |token: i32| [Scanned::SqlComment as i32, Scanned::CComment as i32].contains(&token);
    let tokens = tokens.into_iter().filter(|token| !is_comment(token.token));
    Some(
        tokens
            .map(|token| (token.start as usize, token.end as usize))
            .collect(),
    )
}

fn agrees_with_postgres(text: &str) -> Result<(), TestCaseError> {
    let Some(expected) = scanned(text) else {
        // What the scanner refuses and this lexer takes is refused by the parser at any rate; escapes, say.
        return Ok(());
    };
    let tokens: Result<Vec<Token>, Broken> = Lexer::new(text).collect();
    let Ok(tokens) = tokens else {
        // The scanner takes single stray characters as tokens, which no grammar knows.
        let strays = text
            .bytes()
            .any(|byte| CLASS[byte as usize] == Class::Stray && !is_space(byte));
        let dollars = expected
            .iter()
            .any(|(start, end)| &text[*start..*end] == "$");
        // It also takes `$1a`, which the server's refuses.
        let junk = expected.windows(2).any(|pair| {
            pair[0].1 == pair[1].0
                && text[pair[0].0..].starts_with('$')
                && text
                    .as_bytes()
                    .get(pair[1].0)
                    .copied()
                    .is_some_and(is_word_start)
        });
        prop_assert!(strays || dollars || junk, "given up on {text:?}");
        return Ok(());
    };
    let mut found = Vec::new();
    for token in tokens {
        if token.kind == TokenKind::NationalString {
            found.push((token.start, token.start + 1));
            found.push((token.start + 1, token.end));
        } else {
            found.push((token.start, token.end));
        }
    }
    prop_assert_eq!(found, expected, "{:?}", text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_postgres_on_soups(pieces in prop::collection::vec(piece(), 0..12)) {
        agrees_with_postgres(&pieces.concat())?;
    }

    #[test]
    fn survives_anything(text in any::<String>()) {
        for token in Lexer::new(&text).map_while(Result::ok) {
            prop_assert!(token.start < token.end);
            prop_assert!(text.get(token.start..token.end).is_some());
        }
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            " ",
            "\n",
            "\r",
            "\t",
            "a",
            "E",
            "e",
            "b",
            "x",
            "n",
            "u",
            "U&",
            "_",
            "$",
            "$$",
            "$a$",
            "$1",
            "é",
            "'",
            "''",
            "\"",
            "\"\"",
            "\\",
            "--",
            "-",
            "/*",
            "*/",
            "*",
            "/",
            "+",
            "=",
            "<",
            ">",
            "@",
            "|",
            "?",
            "!",
            "~",
            "&",
            "%",
            "^",
            "#",
            "`",
            "0",
            "1",
            "9",
            "0x",
            "1f",
            ".",
            "..",
            ":",
            "::",
            ":=",
            "=>",
            ",",
            ";",
            "(",
            ")",
            "[",
            "]",
            "select",
            "null",
            "'it'",
            "'a' \n 'b'",
            "E'\\''",
            "\"q\"",
            "1.5",
            "1e5",
            "/* c */",
            "-- c\n",
        ][..],
    )
}
