//! Relative links.

use std::path::Path;

use super::markdown::Page;

/// The links of a page that lead nowhere within the project.
pub(crate) fn check(page: &Page, root: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, line) in page.words.iter().enumerate() {
        let targets = line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            if let Err(reason) = follow(page, root, target) {
                let place = format!("{}:{}", page.path.display(), index + 1);
                problems.push(format!("{place}: {target} {reason}"));
            }
        }
    }
    problems
}

fn follow(page: &Page, root: &Path, target: &str) -> Result<(), &'static str> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.path.parent().unwrap_or(root);
    let path = folder.join(file);
    if !file.is_empty() && !path.exists() {
        return Err("does not exist");
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let anchors = if file.is_empty() {
        page.anchors()
    } else {
        let text = std::fs::read_to_string(&path).map_err(|_| "is no page")?;
        Page::new(&path, &text).anchors()
    };
    if anchors.iter().any(|known| known == anchor) {
        Ok(())
    } else {
        Err("is no heading there")
    }
}

#[test]
fn a_link_to_nowhere_is_seen() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("page.md");
    let text =
        "# One\n[a](page.md) [b](#one) [c](https://example.org/x) [d](gone.md)\n[e](page.md#two)\n";
    std::fs::write(&path, text).expect("a page");
    let problems = check(&Page::new(&path, text), folder.path());
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].ends_with(":2: gone.md does not exist"));
    assert!(problems[1].ends_with(":3: page.md#two is no heading there"));
}
