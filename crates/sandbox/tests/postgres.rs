//! The private server as its users see it, through `psql`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use paceline_sandbox::{Auth, Binaries, ChildProcess, Error, Options, PrivatePostgres, Signal};

fn cached() -> Options {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clusters");
    Options {
        template_cache: Some(cache),
        ..Options::default()
    }
}

fn psql_command(server: &PrivatePostgres, url: &str, sql: &str) -> Command {
    let mut command = Command::new(server.binaries().tool("psql").unwrap());
    command.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url]);
    command
        .env_remove("PGPASSWORD")
        .env("PGCONNECT_TIMEOUT", "5");
    command
}

fn psql(server: &PrivatePostgres, sql: &str) -> Output {
    psql_command(server, &server.url("postgres"), sql)
        .output()
        .unwrap()
}

fn answer(server: &PrivatePostgres, sql: &str) -> String {
    let output = psql(server, sql);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "did not come true: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_running(pid: u32) -> bool {
    // A zombie that nobody has reaped yet has ended too.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .trim_start()
            .starts_with('Z')
    })
}

#[test]
fn starts_answers_and_leaves_nothing_behind() {
    let server = PrivatePostgres::start(Options::default()).unwrap();
    assert_eq!(
        answer(
            &server,
            "SELECT current_user || ' ' || pg_encoding_to_char(encoding) || ' ' || datcollate
        FROM pg_database WHERE datname = current_database()"
        ),
        "postgres UTF8 C"
    );
    assert_eq!(answer(&server, "SHOW fsync"), "off");
    if server
        .binaries()
        .folder()
        .join("../lib/pg_stat_statements.so")
        .exists()
    {
        assert_eq!(
            answer(&server, "SHOW shared_preload_libraries"),
            "pg_stat_statements"
        );
    }
    let (folder, pid) = (server.data_folder(), server.pid().unwrap());
    let folder = folder.parent().unwrap().to_path_buf();
    assert!(folder.exists() && is_running(pid));
    drop(server);
    assert!(!folder.exists() && !is_running(pid));
}

#[test]
fn a_password_is_asked_for_and_options_hold() {
    let password = "p@ss/w:rd ü".to_owned();
    let options = Options {
        user: "owner".into(),
        auth: Auth::Scram {
            password: password.clone(),
        },
        settings: vec![("max_connections".into(), "17".into())],
        hba_lines: vec!["host all intruder 127.0.0.1/32 reject".into()],
        ..cached()
    };
    let server = PrivatePostgres::start(options).unwrap();
    assert_eq!(answer(&server, "SHOW max_connections"), "17");
    assert_eq!(answer(&server, "SELECT current_user"), "owner");
    let verifier = answer(
        &server,
        "SELECT left(rolpassword, 13) FROM pg_authid WHERE rolname = 'owner'",
    );
    assert_eq!(verifier, "SCRAM-SHA-256");
    for (user, complaint) in [
        ("owner:wrong", "password authentication failed"),
        ("intruder", "rejects"),
    ] {
        let url = format!("postgres://{user}@127.0.0.1:{}/postgres", server.port());
        let output = psql_command(&server, &url, "SELECT 1").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && stderr.contains(complaint),
            "{stderr}"
        );
    }
    assert!(!format!("{server:?}").contains(&password));
}

#[test]
fn data_and_port_survive_a_restart() {
    let mut server = PrivatePostgres::start(cached()).unwrap();
    let port = server.port();
    answer(
        &server,
        "CREATE TABLE kept (n int); INSERT INTO kept VALUES (41)",
    );
    server.restart().unwrap();
    assert_eq!(server.port(), port);
    assert_eq!(
        answer(&server, "UPDATE kept SET n = n + 1 RETURNING n")
            .lines()
            .next(),
        Some("42")
    );
    answer(&server, "CHECKPOINT");
    let pid = server.pid().unwrap();
    server.kill();
    assert!(!is_running(pid) && server.pid().is_none());
    assert!(!psql(&server, "SELECT 1").status.success());
    server.restart().unwrap();
    assert_eq!(answer(&server, "SELECT n FROM kept"), "42");
    server.stop();
    assert!(!psql(&server, "SELECT 1").status.success());
    server.restart().unwrap();
    assert_eq!(answer(&server, "SELECT n FROM kept"), "42");
}

#[test]
fn kill_breaks_busy_connections_at_once() {
    let mut server = PrivatePostgres::start(cached()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let url = server.url("postgres");
    let sleeper = psql_command(&server, &url, "SELECT 'busy', pg_sleep(1000)");
    let client = ChildProcess::spawn(&sleeper, &dir.path().join("log")).unwrap();
    wait_until("the statement runs", || {
        answer(
            &server,
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT ''busy''%'",
        ) == "1"
    });
    server.kill();
    let status = client
        .wait(Duration::from_secs(10))
        .expect("the client is told by the kernel");
    assert_eq!(status.code(), Some(2), "{}", client.log_tail(5));
    assert!(
        client
            .log_tail(5)
            .contains("server closed the connection unexpectedly")
    );
}

#[test]
fn a_frozen_server_ends_on_drop_too() {
    let server = PrivatePostgres::start(cached()).unwrap();
    let pid = server.pid().unwrap();
    server.signal(Signal::Stop);
    let began = Instant::now();
    drop(server);
    assert!(!is_running(pid));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn many_start_at_once_from_one_template() {
    let cache = tempfile::tempdir().unwrap();
    let options = Options {
        template_cache: Some(cache.path().join("clusters")),
        ..Options::default()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| PrivatePostgres::start(options.clone()).unwrap()))
            .collect();
        let servers: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        let mut ports: Vec<u16> = servers.iter().map(PrivatePostgres::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 4);
        for server in &servers {
            assert_eq!(answer(server, "SELECT 1"), "1");
        }
    });
    let entries: Vec<_> = std::fs::read_dir(cache.path().join("clusters"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(entries.len(), 2, "one template and its lock: {entries:?}");
}

#[test]
fn a_failed_start_shows_the_end_of_the_log() {
    let settings = vec![("no_such_setting".to_owned(), "1".to_owned())];
    let error = PrivatePostgres::start(Options {
        settings,
        ..cached()
    })
    .unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("unrecognized configuration parameter \"no_such_setting\""),
        "{text}"
    );
}

#[test]
fn a_folder_without_postgres_is_one_clear_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let error = Binaries::in_folder(dir.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("install them with `apt install postgresql`"),
        "{error}"
    );
}

/// Without the variable not a test: what [`a_killed_owner_leaves_nothing_behind`] runs as another
/// process, and kills.
#[test]
fn owner_to_be_killed() {
    let Some(report) = std::env::var_os("PACELINE_SANDBOX_REPORT").map(PathBuf::from) else {
        return;
    };
    let server = PrivatePostgres::start(cached()).unwrap();
    let sleep_log = report.with_extension("log");
    let child = ChildProcess::spawn(Command::new("sleep").arg("1000"), &sleep_log).unwrap();
    let line = format!(
        "{} {} {}",
        server.pid().unwrap(),
        child.pid(),
        server.data_folder().display()
    );
    std::fs::write(report.with_extension("new"), line).unwrap();
    std::fs::rename(report.with_extension("new"), &report).unwrap();
    thread::sleep(Duration::from_secs(1000));
}

#[test]
fn a_killed_owner_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "owner_to_be_killed", "--nocapture"]);
    command.env("PACELINE_SANDBOX_REPORT", &report);
    let owner = ChildProcess::spawn(&command, &dir.path().join("owner.log")).unwrap();
    wait_until("the owner has started a server", || report.exists());
    let line = std::fs::read_to_string(&report).unwrap();
    let mut words = line.splitn(3, ' ');
    let server: u32 = words.next().unwrap().parse().unwrap();
    let child: u32 = words.next().unwrap().parse().unwrap();
    let folder = Path::new(words.next().unwrap()).parent().unwrap();
    assert!(is_running(server) && is_running(child) && folder.exists());
    // Until it is what was asked for, it has not yet asked to be told of its parent's end.
    wait_until("the other child has begun", || {
        std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "sleep\n")
    });
    owner.kill();
    wait_until("the server has ended", || !is_running(server));
    wait_until("the folder is gone", || !folder.exists());
    if Path::new("/usr/bin/setpriv").exists() {
        wait_until("the other child has ended", || !is_running(child));
    }
}
