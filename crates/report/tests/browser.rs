//! The page in a real browser: quiet, readable at phone and desk width, in light and dark, by keyboard and screen reader.
#![expect(clippy::unwrap_used, reason = "a test may panic anywhere")]

#[path = "browser/samples.rs"]
mod samples;

use std::fs;
use std::path::{Path, PathBuf};

use paceline_report::{Report, html};
use paceline_testkit::{Browser, View};
use serde_json::Value;

/// For reports of up to ten routes.
const BYTES_MAX: usize = 150_000;

fn save(folder: &Path, name: &str, page: &str) -> PathBuf {
    let file = folder.join(format!("{name}.html"));
    fs::write(&file, page).unwrap();
    file
}

#[test]
fn reports_are_quiet_and_readable_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    let reports: [(&str, Report); 3] = [
        ("whole", samples::whole()),
        ("single", samples::single()),
        ("empty", samples::empty()),
    ];
    for (name, report) in reports {
        let file = save(folder.path(), name, &html(&report));
        // Of a long page two views will do: its parts are those of the others.
        browser.look_everywhere(&file, name != "single");
    }
}

#[test]
fn hostile_names_stay_text() {
    let folder = tempfile::tempdir().unwrap();
    let page = html(&samples::whole());
    assert!(page.len() < BYTES_MAX, "{} bytes", page.len());
    let mut browser = Browser::start();
    // Even without the policy that forbids it all, and with scripts allowed, nothing happens.
    let (before, after) = page.split_once("<meta http-equiv").unwrap();
    let lax = format!("{before}{}", after.split_once('\n').unwrap().1);
    for page in [&page, &lax] {
        let file = save(folder.path(), "hostile", page);
        browser.view(View {
            width: 1280,
            dark: false,
            scripts: true,
        });
        browser.open(&file);
        let made = "['script', 'img', 'iframe', 'object', 'base', 'form', 'style ~ style', 'link ~ link', 'body style']\
                    .filter(name => document.querySelector(name))";
        assert_eq!(browser.evaluate(made), Value::Array(Vec::new()));
        let handlers = "[...document.querySelectorAll('*')].flatMap(one => [...one.attributes])\
                        .filter(one => one.name.startsWith('on') || /^(javascript|https?):/i.test(one.value)).map(one => one.value)";
        assert_eq!(browser.evaluate(handlers), Value::Array(Vec::new()));
        let text = browser.evaluate("document.body.textContent");
        let text = text.as_str().unwrap();
        for name in [
            samples::HOSTILE[0],
            samples::HOSTILE[1],
            samples::HOSTILE[3],
        ] {
            assert!(text.contains(name), "{name} is not in:\n{text}");
        }
        assert!(text.contains("GET /\u{fffd}gnp.\u{fffd}exe"), "{text}");
        assert_eq!(browser.noise(), [""; 0]);
    }
}

#[test]
fn everything_is_reached_by_keyboard() {
    let folder = tempfile::tempdir().unwrap();
    let file = save(folder.path(), "whole", &html(&samples::whole()));
    let mut browser = Browser::start();
    browser.view(View {
        width: 360,
        dark: false,
        scripts: true,
    });
    browser.open(&file);
    let wanted = "[...document.querySelectorAll('a[href], summary')].filter(one => one.checkVisibility()).length";
    let wanted = browser.evaluate(wanted).as_u64().unwrap();
    assert!(wanted > 10, "{wanted}");
    let mut opened = 0;
    for nth in 0..wanted {
        browser.press("Tab");
        let focused = browser.evaluate(
            "(() => { const one = document.activeElement; const seen = one.dataset.seen; one.dataset.seen = 1; \
             return [one.tagName, seen || '', getComputedStyle(one).outlineStyle] })()",
        );
        let [name, seen, outline] = [0, 1, 2].map(|at| focused[at].as_str().unwrap().to_owned());
        assert!(
            ["A", "SUMMARY"].contains(&&*name) && seen.is_empty(),
            "{nth}: {focused}"
        );
        assert_ne!(outline, "none", "where the focus is must be seen");
        if name == "SUMMARY" && opened < 2 {
            browser.press("Enter");
            let is_open = browser.evaluate("document.activeElement.parentElement.open");
            assert_eq!(is_open, Value::Bool(true));
            opened += 1;
            browser.evaluate("document.activeElement.parentElement.open = false");
        }
    }
    assert_eq!(opened, 2);
}

#[test]
fn print_shows_what_is_folded_away() {
    let folder = tempfile::tempdir().unwrap();
    let file = save(folder.path(), "whole", &html(&samples::whole()));
    let mut browser = Browser::start();
    browser.view(View {
        width: 1280,
        dark: false,
        scripts: true,
    });
    browser.open(&file);
    browser.evaluate(
        "document.querySelectorAll('details.card, .plots details').forEach(one => one.remove())",
    );
    // A page long, so that it shows in their number whether it is there.
    browser.evaluate(
        "document.querySelectorAll('details dl').forEach(one => one.style.minHeight = '1200px')",
    );
    let pages = |browser: &mut Browser| {
        browser
            .print()
            .windows(12)
            .filter(|part| part == b"/Type /Page\n")
            .count()
    };
    let with_evidence = pages(&mut browser);
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.remove())");
    let without = pages(&mut browser);
    assert!(
        with_evidence > 0 && with_evidence > without,
        "{with_evidence} and {without} pages"
    );
}

#[test]
fn a_bad_page_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    browser.view(View {
        width: 360,
        dark: false,
        scripts: true,
    });
    let file = save(
        folder.path(),
        "bad",
        "<!doctype html><html lang=en><title>bad</title><body><h1>A</h1><h3>C</h3>\
         <p style='font-size: 6px'>small</p><p style='color: #ccc; background: #fff'>pale</p><div style='width: 500px'>wide</div>\
         <img src='missing.png' alt=''><script>console.warn('a warning'); throw new Error('a fault')</script>",
    );
    browser.open(&file);
    let seen = browser.faults().join("\n");
    for part in [
        "wider than the window",
        "beyond the edge: <div",
        "6.0 px: <p",
        "after h1 comes <h3",
    ] {
        assert!(seen.contains(part), "{part} is not in: {seen}");
    }
    let noise = browser.noise().join("\n");
    for part in ["a warning", "a fault", "request: file:///", "missing.png"] {
        assert!(noise.contains(part), "{part} is not in: {noise}");
    }
    let axe = browser.axe().join("\n");
    assert!(axe.contains("color-contrast"), "{axe}");
}
