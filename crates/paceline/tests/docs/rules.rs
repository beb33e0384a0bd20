//! A page for each rule, and a rule for each page.

/// What each page has beside its title and the rule's own sentence.
const SECTIONS: [&str; 4] = [
    "## Why it matters",
    "## When it is reported",
    "## How to fix it",
    "## How to suppress",
];

/// What is wrong with the pages, given rules by name and sentence, and pages by name and text.
pub(crate) fn check(rules: &[(&str, &str)], pages: &[(String, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, about) in rules {
        let Some((_, text)) = pages.iter().find(|(page, _)| page == name) else {
            problems.push(format!("docs/rules/{name}.md is missing"));
            continue;
        };
        let start = format!("# {name}\n\n{about}\n");
        if !text.starts_with(&start) {
            problems.push(format!("docs/rules/{name}.md does not begin with: {start}"));
        }
        let suppress = format!("rule = \"{name}\"");
        let parts = SECTIONS.iter().copied().chain([suppress.as_str()]);
        for part in parts.filter(|part| !text.contains(part)) {
            problems.push(format!("docs/rules/{name}.md lacks: {part}"));
        }
    }
    let is_known = |page: &str| rules.iter().any(|(name, _)| *name == page);
    let strange = pages.iter().filter(|(page, _)| !is_known(page));
    problems.extend(strange.map(|(page, _)| format!("docs/rules/{page}.md is of no rule")));
    problems
}

#[test]
fn what_is_wrong_with_a_page_is_seen() {
    let good = format!(
        "# a\n\nIt is so.\n\n{}\nrule = \"a\"\n",
        SECTIONS.join("\n")
    );
    let page = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let rules = [("a", "It is so.")];
    assert_eq!(check(&rules, &[page("a", &good)]), [""; 0]);
    let rows = [
        (vec![], "is missing"),
        (
            vec![page("a", &good.replace("It is so", "It was so"))],
            "does not begin",
        ),
        (
            vec![page("a", &good.replace("## How to fix it", ""))],
            "lacks: ## How to fix it",
        ),
        (
            vec![page("a", &good), page("b", &good)],
            "b.md is of no rule",
        ),
    ];
    for (pages, expected) in rows {
        let problems = check(&rules, &pages);
        assert!(
            problems.len() == 1 && problems[0].contains(expected),
            "{problems:?}"
        );
    }
}
