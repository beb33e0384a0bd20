//! The house rules that a compiler does not check: who may import whom, how long files and functions get, what never
//! stands in the source. Each checker is proved able to fail by a test of its own on a bad sample.

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/sizes.rs"]
mod sizes;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;

use source::Source;

/// Files that are longer than [`sizes::FILE_LINES_MAX`], with their length. The list only shrinks: a file that got
/// shorter must be written down shorter, or be taken off.
const LONG_FILES: &[sizes::Exception] = &[];

/// Functions that are longer than [`sizes::FUNCTION_LINES_MAX`], as `file::function`, with their length.
const LONG_FUNCTIONS: &[sizes::Exception] = &[];

#[test]
fn arrows_point_down() {
    let problems = floors::check(&cargo_metadata());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_halves_do_not_know_each_other() {
    let problems: Vec<_> = sources().iter().flat_map(floors::check_halves).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn files_are_one_idea_and_functions_fit_a_screen() {
    let sources = sources();
    let mut problems = sizes::check_files(&sources, LONG_FILES);
    problems.extend(sizes::check_functions(&sources, LONG_FUNCTIONS));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn nothing_is_left_undone_or_ignored() {
    let problems: Vec<_> = sources().iter().flat_map(words::check).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_crate_obeys_the_lints_of_the_workspace() {
    let metadata = cargo_metadata();
    let mut problems = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let path = package["manifest_path"]
            .as_str()
            .expect("a manifest's path");
        let text = std::fs::read_to_string(path).expect("a readable manifest");
        problems.extend(words::check_manifest(path, &text));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the workspace's folder")
}

fn cargo_metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Every Rust file of the workspace, read once per test.
fn sources() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    for folder in ["crates", "examples", "fuzz", "bench"] {
        collect(&root.join(folder), &mut files);
    }
    assert!(files.len() > 20, "the walk found only {files:?}");
    files.sort();
    files
        .iter()
        .map(|file| {
            let name = file
                .strip_prefix(&root)
                .expect("below the root")
                .display()
                .to_string();
            Source::new(
                &name,
                &std::fs::read_to_string(file).expect("a readable file"),
            )
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        let skipped = path
            .file_name()
            .is_some_and(|name| name == "target" || name == "node_modules");
        if path.is_dir() && !skipped {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
