//! Private servers for tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use paceline_sandbox::{Auth, Binaries, Options, PrivatePostgres};

use crate::raw_pg::RawPg;

/// A server for a test: no password, no fsync, from a template that the first test makes.
pub fn postgres() -> PrivatePostgres {
    start(options())
}

/// A server whose superuser `postgres` has this password, asked for by SCRAM-SHA-256.
pub fn scram_postgres(password: &str) -> PrivatePostgres {
    start(Options {
        auth: Auth::Scram {
            password: password.into(),
        },
        ..options()
    })
}

/// What [`postgres`] starts with, to be changed with `..options()`. `PACELINE_TEST_PG_BIN` names the folder of the server's programs
/// when it is not to be this machine's own (`make test-versions`).
pub fn options() -> Options {
    let cache = target_folder().join("tmp").join("postgres-templates");
    Options {
        template_cache: Some(cache),
        binaries: std::env::var_os("PACELINE_TEST_PG_BIN").map(|folder| {
            Binaries::in_folder(Path::new(&folder)).unwrap_or_else(|error| panic!("{error}"))
        }),
        ..Options::default()
    }
}

/// Runs SQL through `psql` on a URL, and gives what it printed: unaligned, no headers.
#[track_caller]
pub fn psql(server: &PrivatePostgres, url: &str, sql: &str) -> String {
    let output = Command::new(server.binaries().tool("psql").unwrap())
        .args([
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            url,
        ])
        .env("PGCONNECT_TIMEOUT", "10")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "psql, {sql}: {stderr}");
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// The folder with the binaries of this build, such as `target/debug`: the one above the test's.
pub fn target_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap();
    let above = if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.parent().unwrap()
    } else {
        folder
    };
    above.to_path_buf()
}

fn start(options: Options) -> PrivatePostgres {
    let server = PrivatePostgres::start(options).unwrap_or_else(|error| panic!("{error}"));
    let version = std::fs::read_to_string(server.data_folder().join("PG_VERSION")).unwrap();
    if version.trim() == "13" {
        // It cannot wait for the end of a session, which the tests ask for.
        RawPg::login(server.port(), server.user(), server.password(), "postgres")
            .query(TERMINATE_AND_WAIT);
    }
    server
}

const TERMINATE_AND_WAIT: &str = "
    CREATE FUNCTION pg_terminate_backend(pid int, milliseconds bigint) RETURNS bool LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_terminate_backend($1);
        FOR turn IN 1 .. milliseconds / 10 LOOP
            PERFORM pg_stat_clear_snapshot();
            IF NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = $1) THEN RETURN true; END IF;
            PERFORM pg_sleep(0.01);
        END LOOP;
        RETURN false;
    END $$";
