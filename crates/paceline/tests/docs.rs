//! The documentation against the program: links lead somewhere, configurations and scenarios are valid, command lines
//! parse, and what the admin port serves is written down. Each checker is proved able to fail on a bad sample.

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/links.rs"]
mod links;
#[path = "docs/markdown.rs"]
mod markdown;
#[path = "docs/rules.rs"]
mod rules;

use std::path::{Path, PathBuf};

use markdown::{Block, Page};
use paceline_testkit::{Paceline, http};

#[test]
fn links_lead_somewhere() {
    assert_none(pages().iter().flat_map(|page| links::check(page, &root())));
}

#[test]
fn configurations_and_scenarios_are_valid() {
    let blocks: Vec<_> = pages().into_iter().flat_map(Page::into_blocks).collect();
    let toml: Vec<_> = blocks
        .iter()
        .filter(|block| block.language == "toml")
        .collect();
    assert!(toml.len() >= 4, "only {} blocks", toml.len());
    assert_none(toml.iter().filter_map(|block| check_toml(block).err()));
}

#[test]
fn command_lines_parse() {
    let pages = pages();
    let found: usize = pages.iter().map(|page| commands::find(page).len()).sum();
    assert!(found > 30, "only {found} command lines");
    assert_none(pages.iter().flat_map(commands::check));
}

#[test]
fn what_the_admin_port_serves_is_written_down() {
    let page = pages()
        .into_iter()
        .find(|page| page.path.ends_with("admin.md"))
        .expect("docs/admin.md");
    // Nobody is behind either half: what is served then is served always.
    let paceline = Paceline::launch()
        .config("[gateway]\nupstream = \"http://127.0.0.1:1\"\n[postgres]\nurl = \"postgres://u@127.0.0.1:1/d\"\nrequired_at_start = false")
        .without_backends()
        .start();
    http::get(&paceline.http_url());
    let served = |path: &str| http::get(&format!("{}{path}", paceline.admin_url())).text();
    let metrics = served("/metrics");
    let families = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let index = served("/");
    let paths = index
        .lines()
        .filter_map(|line| line.split(' ').next().filter(|path| path.starts_with('/')));
    let names: Vec<_> = families.chain(paths).collect();
    assert!(names.len() > 30, "{names:?}");
    assert_none(unwritten(&names, &page.text));
}

#[test]
fn every_rule_has_its_page() {
    let rules: Vec<_> = paceline_diagnose::rules()
        .map(|rule| (rule.name, rule.about))
        .collect();
    let pages: Vec<_> = markdown_in("docs/rules")
        .map(|path| {
            let name = path.file_stem().expect("a name").display().to_string();
            (name, std::fs::read_to_string(&path).expect("a page"))
        })
        .collect();
    assert_none(rules::check(&rules, &pages));
    let overview = std::fs::read_to_string(root().join("docs/findings.md")).expect("the overview");
    let names: Vec<_> = rules.iter().map(|(name, _)| *name).collect();
    assert_none(unwritten(&names, &overview));
}

/// The names that do not stand in code quotes in a text.
fn unwritten<'n>(names: &'n [&str], text: &str) -> impl Iterator<Item = &'n str> {
    names
        .iter()
        .filter(|name| !text.contains(&format!("`{name}`")))
        .copied()
}

/// A scenario by its reader, a configuration by `paceline check`. The secrets' files that it names are put in place.
fn check_toml(block: &Block) -> Result<(), String> {
    let wrong = |what: String| format!("{}: {what}", block.place());
    if block.text.contains("[[route]]") {
        let scenario = paceline_loadgen::Scenario::from_toml(&block.text);
        return scenario.map(drop).map_err(|error| wrong(error.to_string()));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file in it");
        path.to_str().expect("a path of characters").to_owned()
    };
    // What is suppressed concerns no half; a configuration has one.
    let half = match block.text.contains("upstream") || !block.text.starts_with("[[diagnose") {
        true => "",
        false => "\n[gateway]\nupstream = \"http://127.0.0.1:3000\"\n",
    };
    let text = format!("{}{half}", block.text)
        .replace("/run/secrets/app-password", &file("password", "secret"))
        .replace(
            "/run/secrets/database-url",
            &file("url", "postgres://app:secret@127.0.0.1:5432/app"),
        );
    let ran = Paceline::command()
        .args(["check", &file("paceline.toml", &text)])
        .output()
        .expect("the binary starts");
    match ran.status.code() {
        Some(0) => Ok(()),
        _ => Err(wrong(String::from_utf8_lossy(&ran.stdout).into_owned())),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All that users read, and what contributors read.
fn pages() -> Vec<Page> {
    let mut paths: Vec<_> = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
        .map(|name| root().join(name))
        .into();
    paths.extend(markdown_in("docs").chain(markdown_in("docs/rules")));
    let pages: Vec<_> = paths
        .into_iter()
        .map(|path| Page::new(&path, &std::fs::read_to_string(&path).expect("a page")))
        .collect();
    assert!(pages.len() >= 8, "some pages are missing");
    pages
}

fn markdown_in(folder: &str) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"))
}

#[track_caller]
fn assert_none(problems: impl IntoIterator<Item = impl AsRef<str>>) {
    let problems: Vec<_> = problems.into_iter().collect();
    let lines: Vec<_> = problems.iter().map(AsRef::as_ref).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn a_bad_configuration_or_scenario_is_seen() {
    let check = |text: &str| {
        let page = Page::new(Path::new("x.md"), &format!("```toml\n{text}\n```\n"));
        check_toml(&page.into_blocks()[0])
    };
    assert_eq!(
        check("[gateway]\nupstream = \"http://127.0.0.1:1\""),
        Ok(())
    );
    let problem = check("[gateway]\nupstraem = \"http://127.0.0.1:1\"").unwrap_err();
    assert!(problem.contains("upstraem"), "{problem}");
    assert_eq!(check("[[route]]\npath = \"/\""), Ok(()));
    assert!(check("[[route]]\npath = \"\"").is_err());
}

#[test]
fn a_name_that_is_not_written_down_is_seen() {
    let missing: Vec<_> = unwritten(&["a_total", "/livez"], "| `/livez` | a_total |").collect();
    assert_eq!(missing, ["a_total"]);
}
