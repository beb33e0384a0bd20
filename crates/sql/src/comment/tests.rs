use proptest::prelude::*;

use super::*;

const TRACEPARENT: &str = "00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01";

/// What is left of `text`, and the tags of the comment (`traceparent` and `tracestate` among them), or `None`.
fn check(text: &str, left: &str, tags: Option<&[(&str, &str)]>) {
    let stripped = strip_comment(text);
    let comment = stripped.comment.map(|comment| {
        let mut all = comment.tags;
        all.extend(
            comment
                .tracestate
                .map(|value| ("tracestate".to_owned(), value)),
        );
        all.extend(
            comment
                .traceparent
                .map(|value| ("traceparent".to_owned(), value)),
        );
        all
    });
    let tags = tags.map(|tags| {
        tags.iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
    });
    assert_eq!((&*stripped.text, comment), (left, tags), "{text}");
}

#[test]
fn takes_trace_comments_off() {
    let tp: (&str, &str) = ("traceparent", TRACEPARENT);
    // The specification's own example.
    check(
        "SELECT * FROM FOO /*action='%2Fparam*d',controller='index,'framework='spring',\
         traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01',\
         tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7'*/",
        "SELECT * FROM FOO /*action='%2Fparam*d',controller='index,'framework='spring',\
         traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01',\
         tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7'*/",
        None,
    );
    check(
        "SELECT * FROM FOO /*action='%2Fparam*d',controller='index',framework='spring',\
         traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01',\
         tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7'*/",
        "SELECT * FROM FOO",
        Some(&[
            ("action", "/param*d"),
            ("controller", "index"),
            ("framework", "spring"),
            ("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
            tp,
        ]),
    );
    let with =
        |before: &str, after: &str| format!("{before}/*traceparent='{TRACEPARENT}'*/{after}");
    check(&with("SELECT 1", ""), "SELECT 1", Some(&[tp]));
    check(&with("SELECT 1 ", " ;\n;  "), "SELECT 1", Some(&[tp]));
    check(&with("SELECT 1;", ""), "SELECT 1;", Some(&[tp]));
    check(&with("", "SELECT 1"), "SELECT 1", Some(&[tp]));
    check(&with(" \n", "\n SELECT 1;"), "SELECT 1;", Some(&[tp]));
    check(&with("", ""), "", Some(&[tp]));
    check(
        &with("SELECT 1 -- why\n", ""),
        "SELECT 1 -- why",
        Some(&[tp]),
    );
    check(
        &with("SELECT 'it''s' AS \"/*\" ", ""),
        "SELECT 'it''s' AS \"/*\"",
        Some(&[tp]),
    );
    check(
        &with("SELECT $a$ /* $a$ ", ""),
        "SELECT $a$ /* $a$",
        Some(&[tp]),
    );
    check(
        &with("SELECT 1 /* why */ ", ""),
        "SELECT 1 /* why */",
        Some(&[tp]),
    );
    check(&with("SELECT 2*", "3"), &with("SELECT 2*", "3"), None);
    check(
        &with("/*+ SeqScan(t) */ SELECT 1", ""),
        "/*+ SeqScan(t) */ SELECT 1",
        Some(&[tp]),
    );
    check(&with("SELECT é", ""), "SELECT é", Some(&[tp]));
    // First and last: the last one's word counts.
    check(
        "/*traceparent='first',route='a'*/ SELECT 1 /*job='b',traceparent='last'*/",
        "SELECT 1",
        Some(&[("job", "b"), ("route", "a"), ("traceparent", "last")]),
    );
}

#[test]
fn reads_keys_and_values() {
    let value = |written: &str, read: &str| {
        check(
            &format!("SELECT 1 /*route={written}*/"),
            "SELECT 1",
            Some(&[("route", read)]),
        );
    };
    value("'%2Fjobs%2F%3Aid'", "/jobs/:id");
    value("'it\\'s'", "it's");
    value("'a\\\\b'", "a\\b");
    value("''", "");
    value("", "");
    value("/jobs/:id", "/jobs/:id");
    value(" '/jobs' ", "/jobs");
    value("'100%'", "100%");
    value("'%zz%4'", "%zz%4");
    value("'%C3%A9'", "é");
    value("'%FF'", "\u{fffd}");
    value("'a,b=c'", "a,b=c");
    value("'a*b'", "a*b");
    value("a=b", "a=b");
    let pairs = |written: &str, read: &[(&str, &str)]| {
        check(&format!("SELECT 1 /*{written}*/"), "SELECT 1", Some(read));
    };
    pairs(
        "x='1',route='r',%61b='c'",
        &[("x", "1"), ("route", "r"), ("ab", "c")],
    );
    pairs(" x = '1' , route = 'r' ", &[("x", "1"), ("route", "r")]);
    pairs("x=1,\nroute=r", &[("x", "1"), ("route", "r")]);
    pairs(
        "tracestate='',traceparent=t",
        &[("tracestate", ""), ("traceparent", "t")],
    );
    pairs(
        "traceparent=a,traceparent=b",
        &[("traceparent", "b"), ("traceparent", "a")],
    );
}

#[test]
fn leaves_everything_else() {
    let stays = |text: &str| check(text, text, None);
    stays("");
    stays(" ; ");
    stays("SELECT 1");
    stays("SELECT 1;  ");
    stays("*/");
    stays("/*/");
    stays("/**/");
    stays("SELECT 1 /**/");
    stays("SELECT 1 /* all of them */");
    stays("SELECT 1 /* a = b */");
    stays("SELECT 1 /*x='1',y='2'*/");
    stays("SELECT 1 /*route*/");
    stays("SELECT 1 /*route='a*/");
    stays("SELECT 1 /*route='a',*/");
    stays("SELECT 1 /*,route='a'*/");
    stays("SELECT 1 /*route='a' job='b'*/");
    stays("SELECT 1 /*route=a b*/");
    stays("SELECT 1 /*+ route='a' */");
    stays("/*+ route=a */ SELECT 1");
    stays("SELECT '1 /*route=a*/");
    stays("SELECT '/*route=a*/");
    stays("SELECT '/*route=a*/'");
    stays("SELECT E'\\' /*route=a*/");
    stays("SELECT \"/*route=a*/");
    stays("SELECT $$ /*route=a*/");
    stays("SELECT $x$ $y$ /*route=a*/");
    stays("SELECT 1 -- /*route=a*/");
    stays("SELECT 1 /* x /*route=a*/");
    stays("SELECT 1 /* x /*route=a*/ */");
    stays("/* x /*route=a*/ */ SELECT 1");
    stays("/*route=a SELECT 1");
    stays("SELECT 1 /*route=a*/ */");
    stays("SELECT 1 /*route=a/*/");
    stays("SELECT 1 /*route=a*/*/");
    stays(&format!(
        "SELECT 1 /*route='{}'*/",
        "a".repeat(COMMENT_BYTES_MAX)
    ));
    stays(&format!(
        "/*route='{}'*/ SELECT 1",
        "a".repeat(COMMENT_BYTES_MAX)
    ));
}

#[test]
fn tags_are_bounded() {
    let many: Vec<String> = (0..100).map(|number| format!("k{number}='v'")).collect();
    let stripped_text = format!("SELECT 1 /*{},traceparent='t'*/", many.join(","));
    let stripped = strip_comment(&stripped_text);
    let comment = stripped.comment.expect("a trace comment");
    assert_eq!(comment.tags.len(), TraceComment::TAGS_MAX);
    assert_eq!(comment.traceparent.as_deref(), Some("t"));
    assert_eq!(&*stripped.text, "SELECT 1");
}

/// The tree with its places and the lengths of statements taken out.
fn parsed(text: &str) -> Option<String> {
    fn blank(tree: &mut serde_json::Value) {
        match tree {
            serde_json::Value::Object(fields) => {
                fields.retain(|name, _| {
                    !matches!(
                        name.as_str(),
                        "location"
                            | "stmt_len"
                            | "stmt_location"
                            | "rexpr_list_start"
                            | "rexpr_list_end"
                            | "list_start"
                            | "list_end"
                    )
                });
                fields.values_mut().for_each(blank);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(blank),
            _ => {}
        }
    }
    let tree = pg_query::parse(text, 0).ok()?.protobuf;
    let mut tree = serde_json::to_value(&tree).ok()?;
    blank(&mut tree);
    Some(tree.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stripping_never_changes_the_meaning(pieces in prop::collection::vec(piece(), 0..10)) {
        let text = pieces.concat();
        let stripped = strip_comment(&text);
        if stripped.comment.is_none() {
            prop_assert_eq!(&*stripped.text, &*text);
        }
        prop_assert_eq!(parsed(&stripped.text), parsed(&text), "{:?}", text);
    }

    #[test]
    fn reads_back_what_is_written(
        pairs in prop::collection::vec(("[a-z]{1,5}", any::<String>()), 0..5),
        traceparent in any::<String>(),
    ) {
        let encode = |text: &str| {
            text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>()
        };
        let mut written: Vec<String> =
            pairs.iter().map(|(key, value)| format!("x{key}='{}'", encode(value))).collect();
        written.push(format!("traceparent='{}'", encode(&traceparent)));
        let text = format!("SELECT 1 /*{}*/", written.join(","));
        let stripped = strip_comment(&text);
        prop_assert_eq!(&*stripped.text, "SELECT 1");
        let expected = TraceComment {
            traceparent: Some(traceparent),
            tracestate: None,
            tags: pairs.into_iter().map(|(key, value)| (format!("x{key}"), value)).collect(),
        };
        prop_assert_eq!(stripped.comment, Some(expected));
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "SELECT ",
            "1",
            "a",
            " ",
            "\n",
            ";",
            "/*route='x'*/",
            "/*route=x*/",
            "/*traceparent='00-1-2-01'*/",
            "/* why */",
            "/*",
            "*/",
            "'",
            "''",
            "\"",
            "$$",
            "$x$",
            "E'",
            "\\",
            "--",
            "-",
            "*",
            "+",
            "/*+ hint */",
            "/*+ route='x' */",
            "route='x'",
            "'s'",
            ", ",
            "b/*route='x'*/",
        ][..],
    )
}
