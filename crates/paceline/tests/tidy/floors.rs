//! Who may import whom.

use serde_json::Value;

use super::source::Source;

/// The floors of `ARCHITECTURE.md`. A crate imports only from floors below its own.
const FLOORS: &[(&str, u32)] = &[
    ("paceline-sql", 0),
    ("paceline-pgwire", 0),
    ("paceline-listen", 0),
    ("paceline-sandbox", 0),
    ("paceline-report", 0),
    ("paceline-watch", 0),
    ("paceline-payload", 0),
    ("paceline-journal", 1),
    ("paceline-catalogue", 1),
    ("paceline-gateway", 2),
    ("paceline-pgproxy", 2),
    ("paceline-diagnose", 2),
    ("paceline-loadgen", 2),
    ("paceline-admin", 3),
    ("paceline", 4),
];

/// For tests only: it may import anything, and nothing but tests may import it.
const TESTKIT: &str = "paceline-testkit";

/// What is wrong with the arrows in the output of `cargo metadata --no-deps`.
pub(crate) fn check(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().expect("packages");
    let mut problems = Vec::new();
    let mut seen = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let manifest = package["manifest_path"].as_str().expect("a path");
        if name == TESTKIT || manifest.contains("/examples/") {
            continue;
        }
        seen.push(name);
        match floor(name) {
            Some(floor) => check_package(name, floor, package, &mut problems),
            None => problems.push(format!(
                "{name} has no floor: give it one here and in ARCHITECTURE.md"
            )),
        }
    }
    for (name, _) in FLOORS {
        if !seen.contains(name) {
            problems.push(format!("{name} has a floor but is not in the workspace"));
        }
    }
    problems
}

fn check_package(name: &str, floor_of_it: u32, package: &Value, problems: &mut Vec<String>) {
    for dependency in package["dependencies"].as_array().expect("dependencies") {
        let target = dependency["name"].as_str().expect("a name");
        let for_tests = dependency["kind"].as_str() == Some("dev");
        if !target.starts_with("paceline") || (target == TESTKIT && for_tests) {
            continue;
        }
        match floor(target) {
            Some(floor) if floor < floor_of_it => {}
            Some(floor) => problems.push(format!(
                "{name} (floor {floor_of_it}) imports {target} (floor {floor}): arrows point down only"
            )),
            None => problems.push(format!("{name} imports {target}, which has no floor")),
        }
    }
}

fn floor(name: &str) -> Option<u32> {
    FLOORS
        .iter()
        .find(|(other, _)| *other == name)
        .map(|(_, floor)| *floor)
}

/// The two halves may not even name each other.
pub(crate) fn check_halves(source: &Source) -> Vec<String> {
    [
        ("crates/gateway/", "paceline_pgproxy"),
        ("crates/pgproxy/", "paceline_gateway"),
    ]
    .into_iter()
    .filter(|(half, other)| source.name.starts_with(half) && source.code.contains(other))
    .map(|(_, other)| format!("{} names {other}", source.name))
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, dependencies: Value) -> Value {
        json!({"name": name, "manifest_path": format!("/w/crates/{name}/Cargo.toml"), "dependencies": dependencies})
    }

    fn check_with(changed: Value) -> Vec<String> {
        let mut packages: Vec<Value> = FLOORS
            .iter()
            .map(|(name, _)| package(name, json!([])))
            .collect();
        packages.retain(|package| package["name"] != changed["name"]);
        packages.push(changed);
        check(&json!({ "packages": packages }))
    }

    #[test]
    fn arrows_down_and_test_kits_pass() {
        let dependencies = json!([
            {"name": "paceline-journal", "kind": null},
            {"name": "paceline-testkit", "kind": "dev"},
            {"name": "tokio", "kind": null},
        ]);
        assert_eq!(
            check_with(package("paceline-gateway", dependencies)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn arrows_up_and_across_fail() {
        let rows = [
            ("paceline-sql", "paceline-journal", "normal"),
            ("paceline-journal", "paceline-gateway", "normal"),
            ("paceline-gateway", "paceline-pgproxy", "normal"),
            ("paceline-gateway", "paceline-pgproxy", "dev"),
            ("paceline-sql", "paceline-pgwire", "build"),
        ];
        for (from, to, kind) in rows {
            let problems = check_with(package(from, json!([{"name": to, "kind": kind}])));
            assert_eq!(problems.len(), 1, "{from} → {to} ({kind}): {problems:?}");
            assert!(
                problems[0].contains("arrows point down only"),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn the_test_kit_is_for_tests() {
        let problems = check_with(package(
            "paceline-admin",
            json!([{"name": "paceline-testkit", "kind": null}]),
        ));
        assert_eq!(
            problems,
            ["paceline-admin imports paceline-testkit, which has no floor"]
        );
    }

    #[test]
    fn strangers_and_ghosts_fail() {
        let problems = check(&json!({"packages": [package("paceline-new", json!([]))]}));
        assert!(
            problems[0].starts_with("paceline-new has no floor"),
            "{problems:?}"
        );
        assert_eq!(problems.len(), 1 + FLOORS.len());
    }

    #[test]
    fn a_half_that_names_the_other_fails() {
        let bad = Source::new("crates/gateway/src/lib.rs", "use paceline_pgproxy::Proxy;");
        assert_eq!(check_halves(&bad).len(), 1);
        let told = Source::new("crates/gateway/src/lib.rs", "// not paceline_pgproxy");
        assert_eq!(check_halves(&told).len(), 0);
    }
}
