use std::path::Path;

use super::field::Field;
use super::*;

/// Loads a file's text together with variables and flags.
fn load_all(text: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Loaded {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("p.toml");
    std::fs::write(&file, text).expect("a file in it");
    let loaded = load(sources(&file, variables, flags));
    let shown = |origin: &Origin| match origin {
        Origin::File { file: name, .. } => *name == file.display().to_string(),
        _ => true,
    };
    assert!(loaded.problems.iter().all(|problem| shown(&problem.origin)));
    loaded
}

fn sources(file: &Path, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    Sources {
        file: Some(file.to_owned()),
        environment: variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        flags: flags
            .iter()
            .map(|(path, value)| Flag {
                name: format!("--set {path}"),
                path: (*path).to_owned(),
                value: (*value).to_owned(),
            })
            .collect(),
        may_lack_secrets: false,
    }
}

/// The problems as `line:column key message-and-hint`.
fn problems(loaded: &Loaded) -> Vec<String> {
    let place = |origin: &Origin| match origin {
        Origin::File { line, column, .. } => format!("{line}:{column}"),
        other => other.to_string(),
    };
    let shown = |problem: &Problem| {
        let line = problem.to_string();
        let said = line
            .split_once(&format!("{}: ", problem.origin))
            .map_or("", |(_, said)| said);
        format!("{} {said}", place(&problem.origin))
    };
    loaded.problems.iter().map(shown).collect()
}

const UPSTREAM: &str = "[gateway]\nupstream = \"http://127.0.0.1:3000\"\n";

fn check(text: &str, expected: &[&str]) {
    let loaded = load_all(text, &[], &[]);
    let found = problems(&loaded);
    assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.contains(expected),
            "{text}\n{found}\nlacks\n{expected}"
        );
    }
    let errors = found.iter().any(|problem| problem.contains(" error: "));
    assert_eq!(loaded.config.is_none(), errors, "{text}");
}

#[test]
fn wrong_values_are_told_with_their_place_and_the_right_form() {
    let rows: &[(&str, &str)] = &[
        (
            "mode = \"fast\"",
            "3:1 error: mode: expected one of \"observe\", \"fix\", found \"fast\"",
        ),
        (
            "mode = 3",
            "expected one of \"observe\", \"fix\", found the number 3",
        ),
        (
            "workers = 0",
            "workers: expected a whole number from 1 to 256, found the number 0",
        ),
        ("workers = 257", "found the number 257"),
        ("workers = -1", "found the number -1"),
        (
            "workers = 99999999999999999999999999",
            "found the number 99999999999999999999999999",
        ),
        ("workers = 1.5", "found a number with a fraction"),
        ("workers = \"2\"", "found \"2\""),
        ("workers = true", "found the boolean true"),
        ("workers = [1]", "found a list"),
        (
            "drain_timeout = 10",
            "found the number 10, which has no unit",
        ),
        ("drain_timeout = \"10 sec\"", "\"sec\" is not a unit here"),
        (
            "drain_timeout = \"2d\"",
            "2d is out of range, which is 0ms to 1d",
        ),
        (
            "gateway.connect_timeout = \"0ms\"",
            "0ms is out of range, which is 1ms to 1h",
        ),
        (
            "gateway.listen = \"localhost\"",
            "expected an address and port such as \"127.0.0.1:8080\"",
        ),
        (
            "gateway.header_bytes_max = \"1B\"",
            "1B is out of range, which is 8KiB to 256KiB",
        ),
        ("gateway.header_bytes_max = 1", "which has no unit"),
        (
            "gateway.body_bytes_max = \"lots\"",
            "a size such as \"16MiB\", or \"none\"",
        ),
        (
            "gateway.trust_forwarded = \"yes\"",
            "expected true or false, found \"yes\"",
        ),
        (
            "gateway.upstream = \"https://a\"",
            "TLS to the application is not supported",
        ),
        (
            "gateway = 1",
            "there is no key \"gateway\". It is a section: [gateway]",
        ),
        ("postgres.url = \"mysql://a\"", "begins with postgres://"),
        ("postgres.url = 5", "expected a URL such as \"postgres://"),
        ("journal.routes = \"/a\"", "expected a list, each a path"),
        (
            "postgres.trusted_functions = [\"f()\"]",
            "\"f()\" is no function's name",
        ),
        (
            "admin.allowed_hosts = [\"a:1\"]",
            "\"a:1\" is not a host name",
        ),
        (
            "log.level = \"loud\"",
            "expected one of \"error\", \"warn\"",
        ),
        ("log.format = \"xml\"", "expected one of \"text\", \"json\""),
        (
            "lisen = 1",
            "there is no key \"lisen\". Did you mean \"gateway.listen\"?",
        ),
        ("pool_size = 1", "Did you mean \"postgres.pool_size\"?"),
        ("gateway.url = \"x\"", "Did you mean \"postgres.url\"?"),
        ("gateway.colour = 1", "See `paceline check --reference`"),
        (
            "gateway.listen.port = 1",
            "there is no section [gateway.listen]",
        ),
        (
            "[[gateway]]\nlisten = 1",
            "there is no key \"gateway\". It is a section: [gateway]",
        ),
        (
            "[gatewy]\nlisten = 1",
            "there is no section [gatewy]. Did you mean [gateway]?",
        ),
        (
            "[colours]",
            "there is no section [colours]. The sections are [gateway], [postgres]",
        ),
    ];
    for (line, expected) in rows {
        // A key of the top level cannot follow a section, so that the halves are switched on by dotted keys above.
        let text =
            format!("admin.listen = \"127.0.0.1:1\"\npostgres.idle_timeout = \"1s\"\n{line}\n");
        let found = problems(&load_all(
            &text,
            &[("PACELINE__POSTGRES__URL", "postgres://a/b")],
            &[],
        ));
        assert!(
            found.iter().any(|problem| problem.contains(expected)),
            "{line}\n{found:#?}\nlacks {expected}"
        );
    }
}

#[test]
fn many_mistakes_are_told_at_once_in_the_order_of_the_file() {
    check(
        "mode = \"fast\"\nwrokers = 2\n\n[gateway]\n  listen = 8080\nupstream = \"ftp://a\"\n[journal]\nroutes = [\"/a\",\n  7, \"b\"]\n[oops]\nx = \n",
        &[
            "1:1 error: mode: ",
            "2:1 error: there is no key \"wrokers\". Did you mean \"workers\"?",
            "5:3 error: gateway.listen: ",
            "6:1 error: gateway.upstream: ",
            "9:3 error: journal.routes: expected a path with names for what varies, such as \"/jobs/{id}\", found the number 7",
            "9:6 error: journal.routes: ",
            "10:2 error: there is no section [oops]",
            "11:5 error: ",
        ],
    );
}

#[test]
fn what_does_not_fit_together_is_told() {
    check(
        "",
        &["configuration error: neither gateway.upstream nor postgres.url is set"],
    );
    check(
        "[gateway]\nlisten = \"127.0.0.1:1\"\n",
        &["gateway.upstream is not set", "neither gateway.upstream"],
    );
    check(
        &format!("{UPSTREAM}[postgres]\npool_size = 3\n"),
        &["4:1 warning: postgres.pool_size: it has no effect, because postgres.url is not set"],
    );
    check(
        &format!("{UPSTREAM}[admin]\nlisten = \"127.0.0.1:8080\"\n"),
        &["4:1 error: admin.listen: gateway.listen listens on port 8080 too"],
    );
    check(
        &format!("{UPSTREAM}listen = \"0.0.0.0:9090\"\n"),
        &["3:1 error: gateway.listen: admin.listen listens on port 9090 too"],
    );
    check(
        &format!("{UPSTREAM}listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n"),
        &[],
    );
    check(
        &format!("{UPSTREAM}listen = \"127.0.0.1:3000\"\n"),
        &["2:1 error: gateway.upstream: it is gateway.listen itself"],
    );
    check(
        "[gateway]\nupstream = \"http://localhost:8080\"\n",
        &["it is gateway.listen itself"],
    );
    check("[gateway]\nupstream = \"http://10.0.0.1:8080\"\n", &[]);
    check(
        "[postgres]\nurl = \"postgres://a:b@localhost:6432/a\"\n",
        &["it is postgres.listen itself"],
    );
    check(
        &format!("{UPSTREAM}[admin]\nlisten = \"0.0.0.0:9090\"\n"),
        &["4:1 warning: admin.listen: the admin port has no authentication"],
    );
    check(
        &format!("{UPSTREAM}[admin]\nlisten = \"0.0.0.0:9090\"\nallow_remote = true\n"),
        &[],
    );
    check(
        "[postgres]\nlisten = \"0.0.0.0:6432\"\nurl = \"postgres://a@db/a\"\n",
        &["2:1 error: postgres.listen: the database's URL has no password"],
    );
    check(
        "mode = \"observe\"\n[postgres]\nlisten = \"0.0.0.0:6432\"\nurl = \"postgres://a@db/a\"\n",
        &[],
    );
    check(
        "[postgres]\nlisten = \"0.0.0.0:6432\"\nurl = \"postgres://a:b@db/a\"\n",
        &[],
    );
    check(
        "[postgres]\nurl = \"postgres://a@db/a\"\nurl_file = \"/x\"\n",
        &["postgres.url_file: there is postgres.url too"],
    );
    check(
        "[postgres]\nurl = \"postgres://a@db/a\"\npassword_file = \"/does/not/exist\"\n",
        &["3:1 error: postgres.password_file: /does/not/exist could not be read"],
    );
}

#[test]
fn the_stronger_source_wins_and_every_source_is_checked() {
    let text =
        "mode = \"observe\"\n[gateway]\nupstream = \"http://file:1\"\nlisten = \"127.0.0.1:1\"\n";
    let loaded = load_all(
        text,
        &[
            ("PACELINE__GATEWAY__UPSTREAM", "http://variable:1"),
            ("PACELINE__MODE", "fix"),
        ],
        &[("gateway.upstream", "http://flag:1")],
    );
    let config = loaded.config.expect("a right configuration");
    let gateway = config.gateway.expect("the HTTP half");
    assert_eq!(gateway.upstream.to_string(), "http://flag:1");
    assert_eq!(gateway.listen.port(), 1);
    assert!(config.mode == draft::Mode::Fix && !gateway.observe);
    let of = |key: &str| {
        loaded
            .settings
            .iter()
            .find(|s| s.key == key)
            .map(|s| s.origin.to_string())
    };
    assert_eq!(
        of("gateway.upstream").as_deref(),
        Some("--set gateway.upstream")
    );
    assert_eq!(of("mode").as_deref(), Some("PACELINE__MODE"));
    assert!(of("gateway.listen").is_some_and(|origin| origin.ends_with("p.toml:4:1")));

    let wrong = load_all(
        "mode = \"x\"\n",
        &[
            ("PACELINE__MODE", "y"),
            ("PACELINE__NO__KEY", "1"),
            ("PACELINE__GATEWAY__LISTN", "1"),
        ],
        &[
            ("mode", "fix"),
            ("gateway.upstream", "http://a:1"),
            ("mod", "1"),
        ],
    );
    let found = problems(&wrong);
    let expected = [
        "1:1 error: mode: ",
        "PACELINE__GATEWAY__LISTN error: there is no key \"gateway.listn\". Did you mean \"PACELINE__GATEWAY__LISTEN\"?",
        "PACELINE__MODE error: mode: expected one of",
        "PACELINE__NO__KEY error: there is no key \"no.key\"",
        "--set mod error: there is no key \"mod\". Did you mean \"mode\"?",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
}

#[test]
fn untyped_sources_mean_what_the_key_takes() {
    let flags = [
        ("gateway.upstream", "http://a:1"),
        ("workers", "3"),
        ("gateway.trust_forwarded", "true"),
        ("journal.routes", "/a/{id}, GET /b"),
        ("postgres.trusted_functions", "ST_*, app.f"),
        ("postgres.wait_timeout", "250ms"),
        ("gateway.body_bytes_max", "1MiB"),
        ("admin.allowed_hosts", ""),
    ];
    let loaded = load_all("[admin]\nallowed_hosts = [\"A.example\"]\n", &[], &flags);
    let config = loaded.config.expect("a right configuration");
    let gateway = config.gateway.expect("the HTTP half");
    assert_eq!((config.workers, gateway.trust_forwarded), (3, true));
    assert_eq!(gateway.body_bytes_max, Some(1 << 20));
    assert_eq!(config.admin.allowed_hosts, Vec::<String>::new());
    let routes: Vec<_> = config
        .journal
        .route_templates
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(routes, ["/a/{id}", "GET /b"]);
    let trusted: Vec<_> = config
        .trusted_functions
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(trusted, ["st_*", "app.f"]);
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (password, url) = (
        path("password", "hush-1\n"),
        path("url", "postgres://u:hush-2@h:1/d\n"),
    );
    let (empty, two) = (path("empty", "\n"), path("two", "a\nb\n"));

    let loaded = load_all(
        &format!("[postgres]\nurl = \"postgres://u@h:1/d\"\npassword_file = \"{password}\"\n"),
        &[],
        &[],
    );
    let database = loaded
        .config
        .and_then(|config| config.postgres)
        .expect("the Postgres half");
    let database = database.main_url();
    assert_eq!(database.password.as_deref(), Some("hush-1"));

    let loaded = load_all(&format!("[postgres]\nurl_file = \"{url}\"\n"), &[], &[]);
    let database = loaded
        .config
        .and_then(|config| config.postgres)
        .expect("the Postgres half");
    let database = database.main_url();
    assert_eq!(
        (database.password.as_deref(), database.port),
        (Some("hush-2"), 1)
    );

    // The stronger source wins between the two ways to give the URL.
    let stronger = [("postgres.url", "postgres://u:hush-3@other/d")];
    let loaded = load_all(
        &format!("[postgres]\nurl_file = \"{url}\"\n"),
        &[],
        &stronger,
    );
    let shown = format!("{:?} {:?}", loaded.config, loaded.settings);
    assert!(
        shown.contains("postgres://u:***@other:5432/d") && !shown.contains("hush"),
        "{shown}"
    );

    for (file, expected) in [(&empty, "must hold one line"), (&two, "must hold one line")] {
        let loaded = load_all(&format!("[postgres]\nurl_file = \"{file}\"\n"), &[], &[]);
        assert!(
            problems(&loaded)
                .iter()
                .any(|problem| problem.contains(expected))
        );
    }
    for wrong in [
        "postgres://u:hush/4@h/d",
        "postgres://u:hush?4@h/d",
        "hush",
        "postgres://u:p@h:hush/d?hush=4",
    ] {
        let loaded = load_all("", &[("PACELINE__POSTGRES__URL", wrong)], &[]);
        let found = problems(&loaded);
        let shown = format!("{found:?} {loaded:?}");
        assert!(!found.is_empty(), "{wrong}");
        assert!(
            wrong.contains("h:hush") || !shown.contains("hush"),
            "{wrong}: {shown}"
        );
    }
}

#[test]
fn a_wrong_url_is_one_problem_with_one_remedy() {
    let told = |flag: &str, path: &str, url: &str| {
        let loaded = load(Sources {
            flags: vec![Flag {
                name: flag.to_owned(),
                path: path.to_owned(),
                value: url.to_owned(),
            }],
            ..Sources::default()
        });
        assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
        loaded.problems[0].to_string()
    };
    assert_eq!(
        told("--upstream", "gateway.upstream", "localhost:3000"),
        "--upstream: error: it must begin with http://; expected a URL such as \"http://127.0.0.1:3000\"."
    );
    assert_eq!(
        told("--database", "postgres.url", "mysql://x"),
        "--database: error: a database URL begins with postgres://; expected a URL such as \
         \"postgres://user:password@127.0.0.1:5432/database\"."
    );
}

#[test]
fn the_configuration_of_another_machine_can_be_checked_without_its_secrets() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("p.toml");
    let check = |rest: &str, may_lack_secrets: bool, expected: &[&str]| {
        std::fs::write(&file, format!("[postgres]\n{rest}\n")).expect("a file");
        let loaded = load(Sources {
            may_lack_secrets,
            ..sources(&file, &[], &[])
        });
        let found = problems(&loaded);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
        let is_right = expected.iter().all(|problem| problem.contains("warning"));
        assert_eq!(loaded.config.is_some(), is_right, "{rest}");
    };
    let url = "url_file = \"/does/not/exist\"\nlisten = \"0.0.0.0:6432\"";
    check(url, false, &["2:1 error: postgres.url_file"]);
    check(url, true, &["2:1 warning: postgres.url_file"]);
    let both = "url_file = \"/does/not/exist\"\npassword_file = \"/nor/this\"";
    check(
        both,
        true,
        &[
            "2:1 warning: postgres.url_file",
            "3:1 warning: postgres.password_file",
        ],
    );
    // The rest is checked all the same.
    let wrong = "url_file = \"/does/not/exist\"\npool_size = -1";
    check(
        wrong,
        true,
        &[
            "2:1 warning: postgres.url_file",
            "3:1 error: postgres.pool_size",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem() {
    let sources = Sources {
        file: Some("/does/not/exist.toml".into()),
        ..Sources::default()
    };
    let loaded = load(sources);
    assert!(
        loaded.problems[0]
            .to_string()
            .starts_with("/does/not/exist.toml:1:1: error: the file could not be read")
    );
    assert!(loaded.config.is_none());
}

#[test]
fn every_key_takes_its_own_default_back() {
    let mut defaults = Draft::default();
    for key in keys::all() {
        let Some(shown) = key.field.show(&mut defaults) else {
            continue;
        };
        let name = key.path.rsplit('.').next().expect("a last name");
        let contents = file::read("p", &format!("{name} = {shown}\n"));
        assert_eq!(contents.problems, [], "{}", key.path);
        let mut draft = Draft::default();
        let set = key.field.set(&mut draft, &contents.settings[0].input);
        assert!(set.is_ok(), "{} = {shown}: {set:?}", key.path);
        assert_eq!(key.field.show(&mut draft), Some(shown), "{}", key.path);
    }
}

#[test]
fn every_key_has_a_section_a_text_and_a_place_of_its_own() {
    for (at, key) in keys::all().enumerate() {
        assert!(
            keys::section_exists(keys::section_of(key.path)),
            "{}",
            key.path
        );
        assert!(key.about.ends_with('.'), "{}", key.path);
        assert!(
            keys::all().take(at).all(|other| other.path != key.path),
            "{} twice",
            key.path
        );
    }
}

#[test]
fn the_example_of_the_reference_is_right() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let password = folder.path().join("password");
    std::fs::write(&password, "secret").expect("a file");
    let text =
        reference::EXAMPLE.replace("/run/secrets/app-password", &password.display().to_string());
    check(&text, &[]);
}

#[test]
fn the_committed_reference_is_the_printed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let hint = "run `cargo run -p paceline -- check --reference > docs/configuration.md`";
    assert!(
        committed == reference::page(),
        "docs/configuration.md is not up to date: {hint}"
    );
}

/// What stands behind the `?` of a URL is no database, though there may be a slash in it.
#[test]
fn a_database_without_a_name_in_its_url_is_called_as_clients_call_it() {
    let text = "[[postgres.databases]]\nname = \"reports\"\n\
        url = \"postgres://reader@db?sslmode=disable&target_session_attrs=any&sslrootcert=/etc/ca.pem\"\n";
    let loaded = load_all(text, &[], &[]);
    assert_eq!(problems(&loaded), Vec::<String>::new());
    let postgres = loaded.config.and_then(|config| config.postgres);
    let postgres = postgres.expect("the Postgres half");
    assert_eq!(postgres.databases[0].url.database, "reports");
}

const DATABASES: &str = "\
[postgres]
url = \"postgres://app:hush-0@db/app\"

[[postgres.databases]]
name = \"reports\"
url = \"postgres://db:5433\"
pool_size = 3
pooling = \"session\"

[[postgres.databases]]
name = \"*\"
url = \"postgres://reader:hush-1@db\"

[[postgres.users]]
name = \"App User\"
password = \"hush-2\"
";

#[test]
fn arrays_of_tables_become_databases_and_users() {
    let variables = [
        ("PACELINE__POSTGRES__DATABASES__REPORTS__POOL_SIZE", "4"),
        ("PACELINE__POSTGRES__USERS__APP_USER__PASSWORD", "hush-3"),
    ];
    let loaded = load_all(DATABASES, &variables, &[]);
    assert_eq!(problems(&loaded), Vec::<String>::new());
    let postgres = loaded.config.and_then(|config| config.postgres);
    let postgres = postgres.expect("the Postgres half");
    let found: Vec<_> = postgres
        .databases
        .iter()
        .map(|database| {
            let url = &database.url;
            (
                &*database.name,
                url.port,
                &*url.database,
                database.pool_size,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("app", 5432, "app", None),
            ("reports", 5433, "reports", Some(4)),
            ("*", 5432, "reader", None),
        ]
    );
    assert!(!postgres.databases[1].url.names_user && postgres.databases[2].url.names_user);
    assert_eq!(
        postgres.databases[1].pooling,
        Some(paceline_pgproxy::Pooling::Session)
    );
    assert_eq!(postgres.users[0].password.as_deref(), Some("hush-3"));

    let shown = format!("{postgres:?} {:?}", loaded.settings);
    assert!(!shown.contains("hush"), "{shown}");
    let of = |key: &str| loaded.settings.iter().find(|setting| setting.key == key);
    let size = of("postgres.databases[0].pool_size").expect("a setting");
    assert_eq!(size.value.as_deref(), Some("4"));
    assert_eq!(size.origin.to_string(), variables[0].0);
    let name = of("postgres.users[0].name").expect("a setting");
    assert!(name.origin.to_string().ends_with("p.toml:15:1"), "{name:?}");
}

#[test]
fn the_first_table_is_the_main_database_when_there_is_no_url() {
    let loaded = load_all(
        "[[postgres.databases]]\nname = \"a\"\nurl = \"postgres://u@h/b\"\n",
        &[],
        &[],
    );
    let postgres = loaded.config.and_then(|config| config.postgres);
    assert_eq!(
        postgres.expect("the Postgres half").main_url().database,
        "b"
    );
}

#[test]
fn what_is_wrong_in_a_table_is_told_with_its_place() {
    let head = "[postgres]\nurl = \"postgres://a:b@db/app\"\n";
    let check = |text: &str, expected: &[&str]| check(&format!("{head}{text}"), expected);
    check(
        "[[postgres.databases]]\nname = \"x\"\nurl = \"mysql://a\"\npol_size = 1\n\
         [[postgres.users]]\npool_size = 0\n",
        &[
            "5:1 error: postgres.databases[0].url: a database URL begins with postgres://",
            "6:1 error: there is no key \"pol_size\" in [[postgres.databases]]. Did you mean \"pool_size\"?",
            "7:1 error: postgres.users[0].name: each [[postgres.users]] needs a name",
            "8:1 error: postgres.users[0].pool_size: expected a whole number from 1 to 10000",
        ],
    );
    check(
        "[[postgres.databases]]\nname = \"x\"\n",
        &["4:1 error: postgres.databases[0].name: the database needs a url"],
    );
    check(
        "[[postgres.users]]\nname = \"x\"\n[[postgres.users]]\nname = \"x\"\n",
        &["6:1 error: postgres.users[1].name: there is another one with the name \"x\""],
    );
    check(
        "[[postgres.databases]]\nname = \"app\"\nurl = \"postgres://h/other\"\n",
        &["4:1 error: postgres.databases[0].name: postgres.url is the database \"app\" already"],
    );
    check(
        "[postgres.users]\nname = \"x\"\n",
        &[
            "3:11 error: there is no section [postgres.users]. There are several: write [[postgres.users]]",
        ],
    );
    check(
        "users = [\"x\"]\n",
        &["3:1 error: postgres.users: expected tables, found a list. Write [[postgres.users]]"],
    );
    check(
        "[[postgres.users]]\nname = \"*\"\npassword = 3\npassword_file = \"/does/not/exist\"\n",
        &[
            "4:1 error: postgres.users[0].name: there is no entry for all users",
            "5:1 error: postgres.users[0].password: expected a password, found the number 3",
            "6:1 error: postgres.users[0].password_file: /does/not/exist could not be read",
        ],
    );
    check(
        "[[diagnose.suppress]]\nrule = \"n-plus-two\"\n[[diagnose.suppress]]\nid = \"x\"\n\
         [[diagnose.suppress]]\nreason = \"because\"\n[[diagnose.suppress]]\nid = \"\"\nreason = \"y\"\n",
        &[
            "4:1 error: diagnose.suppress[0].rule: there is no rule \"n-plus-two\"",
            "6:1 error: diagnose.suppress[1].reason: say why these findings are not to be reported",
            "8:1 error: diagnose.suppress[2].id: give an id, a rule or a subject",
            "10:1 error: diagnose.suppress[3].id: it is empty",
        ],
    );
    let loaded = load_all(
        DATABASES,
        &[("PACELINE__POSTGRES__USERS__OTHER__PASSWORD", "hush-4")],
        &[],
    );
    let found = problems(&loaded).join("\n");
    assert!(
        found.contains("there is no [[postgres.users]] with the name \"other\"")
            && !found.contains("hush"),
        "{found}"
    );
}

#[test]
fn what_is_said_of_reloads_is_said_of_keys() {
    let exists = |path: &str| keys::find(path).is_some();
    for path in keys::RELOADABLE {
        assert!(exists(path) && is_reloadable(path), "{path}");
    }
    let own = keys::FIXED.iter();
    for name in own.chain(paceline_pgproxy::Config::FIXED) {
        let path = format!("postgres.{name}");
        let path = if exists(&path) { &path } else { *name };
        assert!(exists(path) && !is_reloadable(path), "{path}");
    }
}

/// Another value for a key, if one can be made up.
fn another(key: &keys::Key, draft: &mut Draft, file: &Path) -> bool {
    let text = match &key.field {
        Field::Flag(at) => (!*at(draft)).to_string(),
        Field::Count(at, _) => (*at(draft) + 1).to_string(),
        Field::Duration(at, _) => {
            units::show_duration(*at(draft) + std::time::Duration::from_secs(1))
        }
        Field::Size(at, _) => units::show_size(*at(draft) as u64 / 2),
        Field::Address(_) => "127.0.0.1:1".to_owned(),
        Field::Choice(words, text) => {
            let now = (text.show)(draft);
            let other = words.iter().find(|word| Some(**word) != now.as_deref());
            other.expect("more than one word").to_string()
        }
        Field::List(..) => "someone".to_owned(),
        Field::Path(_) => file.display().to_string(),
        _ if key.path == "postgres.url" => "postgres://u@elsewhere/d".to_owned(),
        _ if key.path == "log.slow_query" => "1s".to_owned(),
        _ => "something".to_owned(),
    };
    // Certificates come in pairs, and what is in the files of secrets belongs to another key.
    let is_alone = !key.path.starts_with("postgres.tls_c") && key.path != "postgres.tls_key";
    let is_other_key = ["postgres.url_file", "postgres.password_file"].contains(&key.path);
    let input = Input::Untyped(text);
    is_alone && !is_other_key && key.field.set(draft, &input).is_ok()
}

#[test]
fn each_key_of_the_proxy_takes_effect_with_a_reload_or_is_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "\"name\" \"password\"").expect("a file");
    let base = Draft {
        database: Some(keys::database_url("postgres://u:p@h/d").expect("a URL")),
        ..Draft::default()
    };
    let compose = |draft: &Draft| {
        let mut problems = Vec::new();
        let config = draft.clone().compose(&Origins::new(), false, &mut problems);
        assert_eq!(problems, []);
        config.and_then(|config| config.postgres).expect("the half")
    };
    let journal = paceline_journal::Journal::new(paceline_journal::Config::default());
    let statements = paceline_sql::Statements::new(paceline_sql::Limits::default());
    let proxy = paceline_pgproxy::Proxy::new(compose(&base), journal, statements.into());
    let proxy = proxy.expect("a proxy");
    let mut tried = 0;
    for key in keys::all() {
        let concerns_it = key.path.starts_with("postgres.")
            || [
                "mode",
                "workers",
                "log.slow_query",
                "log.slow_query_parameters",
            ]
            .contains(&key.path);
        let mut draft = base.clone();
        if !concerns_it || !another(key, &mut draft, &file) {
            continue;
        }
        tried += 1;
        let reload = |draft| {
            proxy.reload(compose(draft)).expect("a right configuration");
            format!("{:?}", proxy.config())
        };
        let (before, after) = (reload(&base), reload(&draft));
        assert_eq!(before != after, is_reloadable(key.path), "{}", key.path);
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn the_files_that_are_named_are_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "rubbish").expect("a file");
    let (file, gone) = (file.display(), "/does/not/exist");
    let url = "[postgres]\nurl = \"postgres://u:p@h/d";
    for (rest, expected) in [
        (
            format!("\"\nuserlist = \"{file}\""),
            format!("3:1 error: postgres.userlist: {file}: line 1"),
        ),
        (
            format!("\"\nuserlist = \"{gone}\""),
            format!("3:1 error: postgres.userlist: {gone}: it could not be read"),
        ),
        (
            format!("\"\nauth_user = \"x\"\nauth_password_file = \"{gone}\""),
            format!("4:1 error: postgres.auth_password_file: {gone}: it could not be read"),
        ),
        (
            format!("\"\ntls_key = \"{file}\"\ntls_certificate = \"{file}\""),
            format!("4:1 error: postgres.tls_certificate: {file}: there is no certificate"),
        ),
        (
            format!("\"\ntls_key = \"{file}\""),
            "error: postgres.tls_certificate: tls_certificate and tls_key go together".to_owned(),
        ),
        (
            "\"\ntls_mode = \"require\"".to_owned(),
            "3:1 error: postgres.tls_mode: ".to_owned(),
        ),
        (
            format!("?sslmode=require&sslrootcert={gone}\""),
            format!("2:1 error: postgres.url: sslrootcert {gone}: it could not be read"),
        ),
        (
            format!(
                "\"\n[[postgres.databases]]\nname = \"x\"\nurl = \"postgres://h/?sslmode=verify-ca&sslrootcert={file}\""
            ),
            format!(
                "5:1 error: postgres.databases[0].url: sslrootcert {file}: there is no certificate"
            ),
        ),
    ] {
        check(&format!("{url}{rest}\n"), &[&expected]);
    }
    // On another machine it may be there.
    let text = folder.path().join("p.toml");
    std::fs::write(&text, format!("{url}\"\nuserlist = \"{gone}\"\n")).expect("a file");
    let loaded = load(Sources {
        may_lack_secrets: true,
        ..sources(&text, &[], &[])
    });
    assert!(loaded.config.is_some());
    let found = problems(&loaded);
    assert!(
        found[0].starts_with("3:1 warning: postgres.userlist"),
        "{found:?}"
    );
}
