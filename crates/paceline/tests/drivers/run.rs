//! Runs the programs of `tests/drivers`, each through a Paceline of its own with three server connections.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use paceline_testkit::{Paceline, PrivatePostgres, postgres, run_to_end, target_folder};

/// How long a program may take; each of its checks has a minute.
const PATIENCE: Duration = Duration::from_secs(300);
const SERVER_CONNECTIONS: usize = 3;

/// A program, and what runs it.
pub(crate) struct Driver {
    pub(crate) name: &'static str,
    command: Vec<PathBuf>,
    more: Option<&'static str>,
}

/// What it reported.
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) passed: Vec<String>,
    pub(crate) skipped: Vec<String>,
    /// Names, each with what went wrong.
    pub(crate) failed: BTreeMap<String, String>,
    pub(crate) output: String,
}

/// Python's, by this interpreter.
pub(crate) fn python(interpreter: &Path, name: &'static str) -> Driver {
    let (script, more) = match name.split_once('+') {
        Some((script, more)) => (script, Some(more)),
        None => (name, None),
    };
    let script = programs().join(format!("python/drive_{script}.py"));
    Driver {
        name,
        command: vec![interpreter.into(), script],
        more,
    }
}

/// Node.js's.
pub(crate) fn node(name: &'static str, script: &str) -> Driver {
    Driver {
        name,
        command: vec!["node".into(), programs().join("node").join(script)],
        more: None,
    }
}

/// Those of Debian's Python: no others are needed for `make test`.
#[allow(dead_code, reason = "the example runs newer ones")]
pub(crate) fn debians_python(name: &'static str) -> Driver {
    python(Path::new("/usr/bin/python3"), name)
}

/// All that `make test-drivers` runs; `scripts/setup --drivers` has installed them.
#[allow(dead_code, reason = "the tests run a few only")]
pub(crate) fn all() -> Vec<Driver> {
    let installed = installed();
    let interpreter = installed.join("venv/bin/python");
    let mut drivers = Vec::new();
    for name in [
        "psycopg",
        "psycopg2",
        "asyncpg",
        "sqlalchemy+asyncpg",
        "sqlalchemy+psycopg",
    ] {
        drivers.push(python(&interpreter, name));
    }
    drivers.push(node("node-postgres", "drive_pg.js"));
    drivers.push(node("postgres.js", "drive_postgres.js"));
    for name in ["tokio-postgres", "sqlx"] {
        let program = format!("rust/debug/drive_{}", name.replace('-', "_"));
        drivers.push(Driver {
            name,
            command: vec![installed.join(program)],
            more: None,
        });
    }
    let java = ["java", "-cp"].map(PathBuf::from).into_iter();
    let java = java.chain([
        "/usr/share/java/postgresql.jar".into(),
        programs().join("java/Drive.java"),
    ]);
    drivers.push(Driver {
        name: "pgjdbc",
        command: java.collect(),
        more: None,
    });
    for name in ["psql", "pgbench"] {
        drivers.push(Driver {
            name,
            command: vec![programs().join(format!("shell/drive_{name}.sh"))],
            more: None,
        });
    }
    drivers
}

impl Driver {
    /// Runs it to its end, through Paceline.
    pub(crate) fn run(&self) -> Report {
        let server = postgres();
        let url = server.url("postgres");
        let config = format!("[postgres]\nurl = \"{url}\"\npool_size = {SERVER_CONNECTIONS}\n");
        let paceline = Paceline::start(&config);
        let mut report = self.run_at(&server, paceline.pg_port());
        report.output += &format!("\nPaceline's log:\n{}", paceline.log());
        report
    }

    /// Runs it to its end without Paceline, to see what is the program's own fault.
    #[allow(dead_code, reason = "the tests do not ask")]
    pub(crate) fn run_directly(&self) -> Report {
        let server = postgres();
        self.run_at(&server, server.port())
    }

    fn run_at(&self, server: &PrivatePostgres, port: u16) -> Report {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .args(["127.0.0.1", &port.to_string(), "postgres"])
            .arg(SERVER_CONNECTIONS.to_string())
            .args(self.more)
            .env("NODE_PATH", node_path())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        if let Ok(psql) = server.binaries().tool("psql") {
            let folder = psql.parent().expect("a program is in a folder");
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{path}:{}", folder.display()));
        }
        let ended = run_to_end(&mut command, PATIENCE);
        let output = format!("{}{}", ended.stdout, ended.stderr);
        let mut report = Report::read(self.name, &ended.stdout, output);
        if ended.code != Some(0) && report.failed.is_empty() {
            let how = format!("it ended with {:?}", ended.code);
            report.failed.insert("(the program)".into(), how);
        }
        report
    }
}

impl Report {
    fn read(name: &str, stdout: &str, output: String) -> Self {
        let mut report = Self {
            name: name.into(),
            version: String::new(),
            passed: Vec::new(),
            skipped: Vec::new(),
            failed: BTreeMap::new(),
            output,
        };
        for line in stdout.lines() {
            let mut words = line.splitn(3, ' ');
            let mut next = || words.next().unwrap_or_default().to_owned();
            match (next().as_str(), next(), next()) {
                ("driver", _, version) => report.version = version,
                ("ok", check, _) => report.passed.push(check),
                ("skip", check, _) => report.skipped.push(check),
                ("FAIL", check, reason) => drop(report.failed.insert(check, reason)),
                _ => {}
            }
        }
        let checks = include_str!("../../../../tests/drivers/checks.txt").lines();
        for check in checks {
            let is_told = [&report.passed, &report.skipped]
                .iter()
                .any(|told| told.iter().any(|name| name == check));
            if !is_told && !report.failed.contains_key(check) {
                report.failed.insert(check.into(), "not reported".into());
            }
        }
        report
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn programs() -> PathBuf {
    root().join("tests/drivers")
}

/// Where `scripts/setup --drivers` puts what it installs: beside the folder of this build.
fn installed() -> PathBuf {
    target_folder()
        .parent()
        .expect("a folder above")
        .join("drivers")
}

fn node_path() -> String {
    let own = programs().join("node/node_modules");
    format!("{}:/usr/share/nodejs:/usr/lib/nodejs", own.display())
}
