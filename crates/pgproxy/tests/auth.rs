//! Who may come in, by each method, from each source, and what servers are told; with psql as the client.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use paceline_pgproxy::{AuthMethod, AuthQuery, Config, DatabaseUrl, User};
use paceline_testkit::{Auth, Options, PrivatePostgres, RawPg, options, wait_until};

use support::certs::{Authority, LOCAL, Names};
use support::tool::{Ended, postgres_tool_at, run};
use support::{PATIENCE, Rig, with_roles};

/// A server whose users log in by SCRAM, its superuser with the password `super`.
fn strict(roles: &[&str]) -> PrivatePostgres {
    with_roles(
        Options {
            auth: Auth::Scram {
                password: "super".into(),
            },
            ..options()
        },
        roles,
    )
}

/// What a server keeps of passwords.
fn stored(server: &PrivatePostgres, user: &str) -> String {
    support::direct(server).value(&format!(
        "SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'"
    ))
}

fn user(name: &str, password: &str) -> User {
    User {
        name: name.into(),
        password: Some(password.into()),
        ..User::default()
    }
}

/// Logs in with psql and asks who it is there.
fn psql(rig: &Rig, user: &str, password: &str, more: &[(&str, &str)]) -> Ended {
    let mut command = postgres_tool_at(rig.port, &rig.server, "psql");
    command.args(["-X", "-A", "-t", "-q", "-w", "-c", "SELECT current_user"]);
    command.env("PGUSER", user).env("PGPASSWORD", password);
    command.envs(more.iter().copied());
    run(&mut command)
}

#[track_caller]
fn assert_in(rig: &Rig, user: &str, password: &str, more: &[(&str, &str)], role: &str) {
    let ended = psql(rig, user, password, more);
    assert!(ended.is_success, "{user}: {}", ended.output);
    assert_eq!(ended.output.trim(), role, "{user}");
}

#[track_caller]
fn assert_out(rig: &Rig, user: &str, password: &str, more: &[(&str, &str)], part: &str) {
    let ended = psql(rig, user, password, more);
    assert!(!ended.is_success, "{user} was let in");
    assert!(ended.output.contains(part), "{user}: {}", ended.output);
}

const FAILED: &str = "password authentication failed for user";

/// Three users, each known in another way: by password, by SCRAM verifier, by md5 hash. The password is `pw` for all.
fn three_users(authority: &Authority, method: AuthMethod) -> Rig {
    let roles = [
        "SET password_encryption = 'scram-sha-256'",
        "CREATE ROLE bob PASSWORD 'pw'",
        "SET password_encryption = md5",
        "CREATE ROLE carol PASSWORD 'pw'",
    ];
    let server = with_roles(options(), &roles);
    let users = vec![
        user("alice", "pw"),
        user("bob", &stored(&server, "bob")),
        user("carol", &stored(&server, "carol")),
    ];
    let pair = authority.sign("proxy", LOCAL);
    let ca = authority.file.clone();
    Rig::before(server, |config| {
        config.users = users;
        config.client_auth.method = method;
        config.client_tls.certificate = Some(pair.certificate);
        config.client_tls.key = Some(pair.key);
        config.client_tls.client_ca = Some(ca);
    })
}

const CLEAR: &[(&str, &str)] = &[("PGSSLMODE", "disable")];
const TLS: &[(&str, &str)] = &[("PGSSLMODE", "require")];
const BOUND: &[(&str, &str)] = &[("PGSSLMODE", "require"), ("PGCHANNELBINDING", "require")];

#[test]
fn scram_lets_in_who_knows_the_password_bound_to_the_channel_over_tls() {
    let authority = Authority::new();
    let rig = three_users(&authority, AuthMethod::ScramSha256);
    for more in [CLEAR, TLS, BOUND] {
        for name in ["alice", "bob"] {
            assert_in(&rig, name, "pw", more, "postgres");
            assert_out(&rig, name, "wrong", more, FAILED);
        }
        // An md5 hash is of no use for SCRAM, and nobody is told so.
        assert_out(&rig, "carol", "pw", more, FAILED);
        assert_out(&rig, "nobody", "pw", more, FAILED);
    }
    // The URL's user has no password, and there are others who have: nobody is let in without one.
    assert_out(&rig, "postgres", "", CLEAR, "no password supplied");
}

#[test]
fn md5_and_cleartext_are_there_for_those_who_ask_for_them() {
    let authority = Authority::new();
    let rig = three_users(&authority, AuthMethod::Md5);
    for name in ["alice", "bob", "carol"] {
        assert_in(&rig, name, "pw", CLEAR, "postgres");
        assert_in(&rig, name, "pw", TLS, "postgres");
        assert_out(&rig, name, "wrong", CLEAR, FAILED);
    }
    assert_out(&rig, "nobody", "pw", CLEAR, FAILED);

    let rig = three_users(&authority, AuthMethod::Password);
    for name in ["alice", "bob", "carol"] {
        assert_in(&rig, name, "pw", TLS, "postgres");
        assert_out(&rig, name, "wrong", TLS, FAILED);
        assert_out(&rig, name, "pw", CLEAR, "over TLS only");
    }
    assert_out(&rig, "nobody", "pw", TLS, FAILED);
}

#[test]
fn trust_and_certificates_ask_for_no_password() {
    let authority = Authority::new();
    let rig = three_users(&authority, AuthMethod::Trust);
    assert_in(&rig, "bob", "", CLEAR, "postgres");
    assert_out(&rig, "nobody", "", CLEAR, "not known here");

    let rig = three_users(&authority, AuthMethod::Cert);
    let mine = authority.sign(
        "alice",
        Names {
            common_name: "alice",
            hosts: &[],
        },
    );
    let show = [
        ("PGSSLMODE", "require"),
        ("PGSSLCERT", mine.certificate.to_str().unwrap()),
        ("PGSSLKEY", mine.key.to_str().unwrap()),
    ];
    assert_in(&rig, "alice", "", &show, "postgres");
    for (name, more) in [("bob", &show[..]), ("alice", TLS), ("alice", CLEAR)] {
        assert_out(&rig, name, "pw", more, "certificate authentication failed");
    }
}

#[test]
fn a_userlist_of_pgbouncers_is_read_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("userlist.txt");
    std::fs::write(
        &path,
        "; users\n\"dora\" \"p\"\"w\"\n\"alice\" \"listed\"\n",
    )
    .unwrap();
    let rig = Rig::with(|config| {
        config.client_auth.userlist = Some(path.clone());
        config.users = vec![user("alice", "configured")];
    });
    assert_in(&rig, "dora", "p\"w", &[], "postgres");
    assert_in(&rig, "alice", "configured", &[], "postgres");
    assert_out(&rig, "alice", "listed", &[], FAILED);

    let config = || (*rig.proxy.config()).clone();
    std::fs::write(&path, "\"dora\" \"other\"\n").unwrap();
    rig.proxy.reload(config()).unwrap();
    assert_out(&rig, "dora", "p\"w", &[], FAILED);
    assert_in(&rig, "dora", "other", &[], "postgres");
    std::fs::write(&path, "\"dora\" other\n").unwrap();
    let error = rig.proxy.reload(config()).unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
    assert_in(&rig, "dora", "other", &[], "postgres");
}

/// A proxy that knows no password but the one of the role that looks users up.
fn looking_up(server: PrivatePostgres, change: impl FnOnce(&mut Config)) -> Rig {
    let url = format!("postgres://127.0.0.1:{}/postgres", server.port());
    Rig::before(server, |config| {
        config.databases[0].url = DatabaseUrl::parse(&url).unwrap();
        config.client_auth.query = AuthQuery {
            user: "looker".into(),
            password: Some("looks".into()),
            ..AuthQuery::default()
        };
        config.client_auth.failures_per_minute_max = 0;
        change(config);
    })
}

const LOOKER: [&str; 2] = [
    "CREATE ROLE looker LOGIN PASSWORD 'looks'",
    "GRANT SELECT ON pg_shadow TO looker",
];

#[test]
fn users_of_the_database_pass_through_without_a_password_that_is_kept() {
    let roles = [
        LOOKER[0],
        LOOKER[1],
        "CREATE ROLE ann LOGIN PASSWORD 'pw'",
        "CREATE ROLE gone LOGIN PASSWORD 'pw' VALID UNTIL '2001-01-01'",
        "CREATE ROLE silent LOGIN",
    ];
    let rig = looking_up(strict(&roles), |_| {});
    // Nobody's role is known yet: that the server is there is enough to start.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(rig.proxy.check()).unwrap();
    assert!(rig.proxy.pools().is_empty());
    // As themselves, over a server connection that was opened with the keys of their own login.
    assert_in(&rig, "ann", "pw", &[], "ann");
    assert_in(&rig, "postgres", "super", &[], "postgres");
    for name in ["ann", "gone", "silent", "nobody"] {
        assert_out(&rig, name, "wrong", &[], FAILED);
    }
    assert_out(&rig, "gone", "pw", &[], FAILED);
    // What was found is asked again after a failure.
    rig.direct().query("ALTER ROLE ann PASSWORD 'changed'");
    wait_until(PATIENCE, || psql(&rig, "ann", "changed", &[]).is_success);
    assert_out(&rig, "ann", "pw", &[], FAILED);
    // New server connections are opened with the new keys.
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ann'";
    rig.direct().query(kill);
    // Whoever gets one of those connections before the proxy has read of its end, loses it.
    wait_until(PATIENCE, || psql(&rig, "ann", "changed", &[]).is_success);
    assert_in(&rig, "ann", "changed", &[], "ann");
}

#[test]
fn nobody_can_put_another_meaning_under_the_query() {
    let roles = [
        LOOKER[0],
        LOOKER[1],
        "CREATE ROLE ann LOGIN PASSWORD 'pw'",
        "CREATE ROLE mallory PASSWORD 'evil'",
        "CREATE SCHEMA evil",
        "GRANT USAGE ON SCHEMA evil TO PUBLIC",
        "CREATE TABLE evil.pg_shadow AS SELECT 'ann'::name AS usename, rolpassword AS passwd \
         FROM pg_authid WHERE rolname = 'mallory'",
        "GRANT SELECT ON evil.pg_shadow TO PUBLIC",
        "ALTER ROLE looker SET search_path = evil, pg_catalog",
    ];
    let rig = looking_up(strict(&roles), |config| {
        let query = &mut config.client_auth.query;
        query.sql = "SELECT usename, passwd FROM pg_shadow WHERE usename = $1".into();
        query.database = Some("postgres".into());
    });
    assert_out(&rig, "ann", "evil", &[], FAILED);
    assert_in(&rig, "ann", "pw", &[], "ann");
}

#[test]
fn a_database_that_cannot_be_asked_is_no_wrong_password() {
    let rig = looking_up(strict(&LOOKER), |config| {
        config.client_auth.query.password = Some("wrong".into());
    });
    assert_out(&rig, "ann", "pw", &[], "could not look the user up");
}

#[test]
fn a_hash_is_enough_for_a_server_with_the_same_method() {
    let roles = [
        "SET password_encryption = md5",
        "CREATE ROLE carol LOGIN PASSWORD 'pw'",
    ];
    let hba_lines = vec!["host all carol all md5".to_owned()];
    let server = with_roles(
        Options {
            hba_lines,
            ..options()
        },
        &roles,
    );
    let (hash, url) = (
        stored(&server, "carol"),
        format!("postgres://127.0.0.1:{}/postgres", server.port()),
    );
    let rig = Rig::before(server, |config| {
        config.databases[0].url = DatabaseUrl::parse(&url).unwrap();
        config.users = vec![user("carol", &hash)];
        config.client_auth.method = AuthMethod::Md5;
    });
    assert_in(&rig, "carol", "pw", &[], "carol");
    assert_out(&rig, "carol", "wrong", &[], FAILED);
}

fn try_login(port: u16, user: &str, password: &str) -> Result<(), (String, String)> {
    let parameters = [("user", user), ("database", "postgres")];
    let tried = RawPg::try_login(port, &parameters, Some(password));
    tried.map(drop).map_err(|error| {
        let field = |code| error.field(code).unwrap_or_default();
        (field(b'C'), field(b'M'))
    })
}

#[test]
fn unknown_users_and_wrong_passwords_look_alike() {
    let rig = Rig::with(|config| {
        config.users = vec![user("alice", "pw")];
        config.client_auth.failures_per_minute_max = 0;
    });
    try_login(rig.port, "alice", "pw").unwrap();
    let (wrong, unknown) = (
        try_login(rig.port, "alice", "wrong").unwrap_err(),
        try_login(rig.port, "nobody", "wrong").unwrap_err(),
    );
    assert_eq!(wrong.0, "28P01");
    assert_eq!((wrong.0, wrong.1.replace("alice", "nobody")), unknown);
    // In time as well, as far as it can be seen from here: the medians of many tries, taken in turns.
    let mut times: HashMap<&str, Vec<Duration>> = HashMap::new();
    for _ in 0..40 {
        for name in ["alice", "nobody"] {
            let start = Instant::now();
            try_login(rig.port, name, "wrong").unwrap_err();
            times.entry(name).or_default().push(start.elapsed());
        }
    }
    let median = |name| {
        let mut times = times[name].clone();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let ratio = median("alice") / median("nobody");
    assert!((0.4..2.5).contains(&ratio), "{ratio}");
}

#[test]
fn guessing_is_slowed_down_and_harms_nobody_who_is_known() {
    let rig = Rig::with(|config| {
        config.users = vec![user("alice", "pw"), user("bob", "pw")];
        config.client_auth.failures_per_minute_max = 3;
    });
    try_login(rig.port, "alice", "pw").unwrap();
    for _ in 0..3 {
        assert_eq!(try_login(rig.port, "eve", "guess").unwrap_err().0, "28P01");
    }
    // Even the right password is not listened to, or guessing could go on.
    for name in ["eve", "bob"] {
        let (sqlstate, message) = try_login(rig.port, name, "pw").unwrap_err();
        assert_eq!(sqlstate, "28000");
        assert!(message.contains("too many failed logins"), "{message}");
    }
    try_login(rig.port, "alice", "pw").unwrap();
}

/// A verifier of the password `pw` that takes half a second or more to check, where the usual one takes 2 ms.
fn slow_verifier(server: &PrivatePostgres) -> String {
    // The right keys for so many rounds are no matter: the work is done before anything is compared.
    let usual = stored(server, "slow");
    usual.replacen("$4096:", "$1000000:", 1)
}

#[test]
fn hashing_holds_up_nobody_else() {
    let authority = Authority::new();
    let roles = [
        "SET password_encryption = 'scram-sha-256'",
        "CREATE ROLE slow PASSWORD 'pw'",
    ];
    let server = with_roles(options(), &roles);
    let users = vec![user("slow", &slow_verifier(&server)), user("quick", "pw")];
    let pair = authority.sign("proxy", LOCAL);
    let rig = Rig::before(server, |config| {
        config.users = users;
        config.workers = 1;
        config.client_auth.method = AuthMethod::Password;
        config.client_auth.failures_per_minute_max = 0;
        config.client_tls.certificate = Some(pair.certificate);
        config.client_tls.key = Some(pair.key);
    });
    let start = Instant::now();
    assert_out(&rig, "slow", "pw", TLS, FAILED);
    let one_login = start.elapsed();
    // A client that was let in before; the method is changed for it, because the test's own client does no TLS.
    let mut config = (*rig.proxy.config()).clone();
    config.client_auth.method = AuthMethod::ScramSha256;
    rig.proxy.reload(config.clone()).unwrap();
    let mut bystander = RawPg::login(rig.port, "quick", Some("pw"), "postgres");
    config.client_auth.method = AuthMethod::Password;
    rig.proxy.reload(config).unwrap();

    // On a busy machine most tries may have bad luck; with hashing on the worker, every one waits for whole logins.
    let mut shown = String::new();
    for _ in 0..5 {
        let times = times_beside_logins(&rig, &mut bystander);
        let (count, almost_longest) = (times.len(), times[times.len() * 9 / 10]);
        if count > 20 && almost_longest < one_login / 4 {
            return;
        }
        let _ = writeln!(
            shown,
            "{count} queries, 90 % within {almost_longest:?}; a login takes {one_login:?}"
        );
    }
    panic!("{shown}");
}

/// How long a client's queries take while four others log in, sorted.
fn times_beside_logins(rig: &Rig, bystander: &mut RawPg) -> Vec<Duration> {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let logins: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| assert_out(rig, "slow", "pw", TLS, FAILED)))
            .collect();
        let watch = scope.spawn(|| {
            let mut times = Vec::new();
            while !is_done.load(Ordering::Relaxed) {
                let start = Instant::now();
                assert_eq!(bystander.value("SELECT 1"), "1");
                times.push(start.elapsed());
            }
            times.sort();
            times
        });
        logins.into_iter().for_each(|login| login.join().unwrap());
        is_done.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    })
}
