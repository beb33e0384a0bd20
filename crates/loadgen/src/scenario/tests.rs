use super::*;
use std::collections::HashSet;

#[test]
fn reads_a_whole_scenario() {
    let scenario = Scenario::from_toml(
        r#"
        [[route]]
        path = "/jobs?page={1..20}"
        weight = 2.5

        [[route]]
        name = "create"
        method = "post"
        path = "/jobs"
        headers = { content-type = "application/json", x-run = "{seq}" }
        body = '{"title": "{pick:cook|nurse}", "tag": "{hex:8}", "a": {"b": {1..3}}}'
        weight = 0x10
        expect = [409]
        "#,
    )
    .unwrap();
    let [list, create] = scenario.routes() else {
        panic!("{scenario:?}")
    };
    assert_eq!(
        (list.name(), list.weight()),
        ("GET /jobs?page={1..20}", 2.5)
    );
    assert_eq!((create.name(), create.weight()), ("create", 16.0));
    assert!(create.accepts(409) && create.accepts(201) && !create.accepts(404));

    let mut sampler = scenario.sampler(1);
    let sample = sampler.sample_of(1);
    assert_eq!(
        (sample.method, sample.path.as_str()),
        (Method::POST, "/jobs")
    );
    assert_eq!(sample.headers["x-run"], "0");
    let body = std::str::from_utf8(&sample.body).unwrap();
    let title = body.contains(r#""title": "cook""#) || body.contains(r#""title": "nurse""#);
    assert!(title && body.ends_with("}}"), "{body}");
    assert_eq!(sampler.sample_of(1).headers["x-run"], "1");
}

#[test]
fn generates_what_the_templates_say() {
    let check = |template: &str, expected: &[&str]| {
        let template = Template::parse(template, template::Braces::Refused).unwrap();
        let mut rng = Rng::with_seed(3);
        let seen: HashSet<String> = (0..200).map(|_| template.generate(&mut rng, 7)).collect();
        let expected: HashSet<String> = expected.iter().map(|&s| s.to_owned()).collect();
        assert_eq!(seen, expected, "{template:?}");
    };
    check("/plain", &["/plain"]);
    check("/a{1..3}b", &["/a1b", "/a2b", "/a3b"]);
    check("/{-1..0}", &["/-1", "/0"]);
    check("/{7..7}{seq}", &["/77"]);
    check("/?q={pick:x|yy|}", &["/?q=x", "/?q=yy", "/?q="]);
    let digits = Template::parse("{hex:300}", template::Braces::Refused).unwrap();
    let text = digits.generate(&mut Rng::with_seed(1), 0);
    assert!(
        text.len() == 300 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        "{text}"
    );
}

#[test]
fn equal_seeds_draw_equal_requests() {
    let scenario = two_routes();
    let draw = |seed: u64| -> Vec<Sample> {
        let mut sampler = scenario.sampler(seed);
        (0..50).map(|_| sampler.sample()).collect()
    };
    assert_eq!(draw(42), draw(42));
    assert_ne!(draw(42), draw(43));
}

#[test]
fn sequence_numbers_never_meet_among_threads() {
    let scenario = Scenario::from_toml("[[route]]\npath = '/{seq}'").unwrap();
    let mut seen = HashSet::new();
    for index in 0..3 {
        let mut sampler = scenario.sampler_share(1, index, 3);
        for _ in 0..100 {
            assert!(seen.insert(sampler.sample().path));
        }
    }
}

#[test]
fn weights_decide_the_shares() {
    let scenario = two_routes();
    let mut sampler = scenario.sampler(9);
    let drawn = (0..10_000).filter(|_| sampler.sample().route == 0).count();
    // The seed is fixed, so this is one number; 0.75 is meant, and 0.02 is above four standard
    // deviations.
    assert!((drawn as f64 / 10_000.0 - 0.75).abs() < 0.02, "{drawn}");
}

#[test]
fn filters_routes() {
    let scenario = two_routes();
    let gets = scenario.filter(|r| r.method() == Method::GET).unwrap();
    assert_eq!(gets.routes().len(), 1);
    assert_eq!(gets.sampler(1).sample().path.find("/a"), Some(0));
    assert!(scenario.filter(|_| false).is_none());
}

#[test]
fn names_every_problem_with_its_place() {
    let check = |text: &str, expected: &[&str]| {
        let Err(Error::Scenario(problems)) = Scenario::from_toml(text) else {
            panic!("accepted: {text}")
        };
        let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(problems.len(), expected.len(), "{text}: {problems:#?}");
        for (problem, part) in problems.iter().zip(expected) {
            let (place, message) = part.split_once(' ').unwrap();
            let found = problem
                .strip_prefix(place)
                .is_some_and(|m| m.contains(message));
            assert!(found, "{text}: {problem} instead of {part}");
        }
    };
    check("", &["1:1: no route"]);
    check("route = 3", &["1:9: [[route]]"]);
    check("[[route]]\nweight = 1", &["1:1: no path"]);
    check(
        "rate = 4\n[[route]]\npath = '/'",
        &["1:1: unknown key \"rate\""],
    );
    check(
        "[[route]]\npath = \"/\"\nwait = 3",
        &["3:1: unknown key \"wait\""],
    );
    check("[[route]]\npath = 'jobs'", &["2:8: slash"]);
    check("[[route]]\npath = '/ä'", &["2:8: percent-encoded"]);
    check("[[route]]\npath = '/{pick:a b|c}'", &["2:8: \"a b\""]);
    check("[[route]]\npath = '/{id}'", &["2:8: no generator"]);
    check("[[route]]\npath = '/{1..'", &["2:8: no generator"]);
    check("[[route]]\npath = '/{9..1}'", &["2:8: empty range"]);
    check("[[route]]\npath = '/{1..x}'", &["2:8: integer"]);
    check(
        "[[route]]\npath = '/'\nbody = '{\"n\": {1...5}}'",
        &["3:8: integer"],
    );
    check(
        "[[route]]\npath = '/'\nmethod = 'GE T'",
        &["3:10: no method"],
    );
    check("[[route]]\npath = '/'\nweight = 0", &["3:10: above 0"]);
    check("[[route]]\npath = '/'\nweight = 'x'", &["3:10: above 0"]);
    check(
        "[[route]]\npath = '/'\nheaders = { host = 'x' }",
        &["3:13: load generator"],
    );
    check(
        "[[route]]\npath = '/'\nheaders = { 'a b' = 'x' }",
        &["3:13: no header name"],
    );
    check(
        "[[route]]\npath = '/'\nheaders = { a = \"x\\n\" }",
        &["3:17: visible"],
    );
    check(
        "[[route]]\npath = '/'\nexpect = [200, 404]",
        &["3:11: 400 to 599"],
    );
    check(
        "[[route]]\npath = '/'\n[[route]]\npath = '/'",
        &["3:1: named \"GET /\" already"],
    );
    check(
        "[[route]]\npath = 5\nnonsense = 1\nweight = -1\n\n[[route]]\nmethod = 'POST'",
        &[
            "2:8: string",
            "3:1: unknown",
            "4:10: above 0",
            "6:1: no path",
        ],
    );
    // Broken TOML is told by the parser, every place of it.
    check(
        "[[route]]\npath = \nweight = = 2",
        &["2:8: ", "3:10: ", "3:12: "],
    );
}

fn two_routes() -> Scenario {
    Scenario::from_toml(
        "[[route]]\npath = '/a{1..1000}'\nweight = 3\n[[route]]\nmethod = 'PUT'\npath = '/b'",
    )
    .unwrap()
}
