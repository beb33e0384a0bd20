//! TLS on both sides, against real servers, with psql and hand-made clients.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_pgproxy::{ClientTls, ClientTlsMode, Config, DatabaseUrl, Mode, open_session};
use paceline_testkit::{Auth, Options, PrivatePostgres, RawPg, frame, options, wait_until};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use support::certs::{Authority, LOCAL, Names, Pair, encrypt};
use support::tool::{postgres_tool_at, run};
use support::{PATIENCE, Rig, Serving, config, serve, with_roles};

const IS_ENCRYPTED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// A server with these lines first in its `pg_hba.conf`, and these roles.
fn server(hba_lines: &[&str], roles: &[&str]) -> PrivatePostgres {
    let hba_lines = hba_lines.iter().map(|line| (*line).to_owned()).collect();
    let options = Options {
        hba_lines,
        ..options()
    };
    with_roles(options, roles)
}

/// A proxy before a database as this user, with these options in its URL.
fn before(server: &PrivatePostgres, user: &str, host: &str, query: &str) -> Serving {
    let url = format!(
        "postgres://{user}@{host}:{}/postgres?{query}",
        server.port()
    );
    let mut config = config(&url);
    config.workers = 1;
    config.connect_timeout = Duration::from_secs(10);
    serve(config)
}

/// What a client gets that asks for one value: the value, or the error's message.
fn ask(port: u16, user: &str, password: Option<&str>, sql: &str) -> Result<String, String> {
    let parameters = [("user", user), ("database", "postgres")];
    RawPg::try_login(port, &parameters, password)
        .map(|mut client| client.value(sql))
        .map_err(|error| error.field(b'M').unwrap_or_default())
}

#[track_caller]
fn assert_asked(asked: Result<String, String>, expected: Result<&str, &str>, what: &str) {
    match (asked, expected) {
        (Ok(value), Ok(expected)) => assert_eq!(value, expected, "{what}"),
        (Err(error), Err(part)) => assert!(error.contains(part), "{what}: {error}"),
        (asked, _) => panic!("{what}: {asked:?} instead of {expected:?}"),
    }
}

#[test]
fn sslmode_means_what_it_means_to_libpq() {
    let authority = Authority::new();
    let pair = authority.sign("server", LOCAL);
    let hba = [
        "hostssl all tlsonly all trust",
        "host all tlsonly all reject",
        "hostnossl all clearonly all trust",
        "host all clearonly all reject",
    ];
    let roles = ["CREATE ROLE tlsonly LOGIN", "CREATE ROLE clearonly LOGIN"];
    let (tls, clear) = (server(&hba, &roles), server(&[], &roles));
    encrypt(&tls, &pair, None);
    let check = |server, user, query: &str, expected| {
        let proxy = before(server, user, "127.0.0.1", query);
        let what = format!("{user} {query}");
        assert_asked(ask(proxy.port, user, None, IS_ENCRYPTED), expected, &what);
    };
    let ca = authority.file.display();
    let refused = Err("pg_hba.conf rejects");
    for (user, query, expected) in [
        ("postgres", "", Ok("t")),
        ("postgres", "sslmode=disable", Ok("f")),
        ("postgres", "sslmode=allow", Ok("f")),
        ("postgres", "sslmode=prefer", Ok("t")),
        ("postgres", "sslmode=require", Ok("t")),
        ("tlsonly", "sslmode=disable", refused),
        ("tlsonly", "sslmode=allow", Ok("t")),
        ("tlsonly", "sslmode=require", Ok("t")),
        ("clearonly", "sslmode=allow", Ok("f")),
        ("clearonly", "sslmode=prefer", Ok("f")),
        ("clearonly", "sslmode=require", refused),
    ] {
        check(&tls, user, query, expected);
    }
    let full = format!("sslmode=verify-full&sslrootcert={ca}");
    check(&tls, "postgres", &full, Ok("t"));
    check(
        &tls,
        "postgres",
        &format!("sslmode=verify-ca&sslrootcert={ca}"),
        Ok("t"),
    );
    let no_tls = Err("the server does not do TLS");
    for (query, expected) in [
        ("sslmode=allow", Ok("f")),
        ("sslmode=prefer", Ok("f")),
        ("sslmode=require", no_tls),
        (&*full, no_tls),
    ] {
        check(&clear, "postgres", query, expected);
    }
}

#[test]
fn a_server_must_show_the_right_certificate_when_one_is_demanded() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let ca = authority.file.display().to_string();
    let other_ca = stranger.file.display().to_string();
    let server = server(&[], &[]);
    let check = |pair: &Pair, host: &str, query: &str, expected| {
        encrypt(&server, pair, None);
        let proxy = before(&server, "postgres", host, query);
        let asked = ask(proxy.port, "postgres", None, IS_ENCRYPTED);
        assert_asked(asked, expected, &format!("{host} {query}"));
    };
    let named = authority.sign("named", LOCAL);
    let unsigned = Err("not signed by one of those in sslrootcert");
    // Whoever vouches is asked even where sslmode demands nothing.
    check(
        &named,
        "localhost",
        &format!("sslmode=require&sslrootcert={other_ca}"),
        unsigned,
    );
    check(&named, "localhost", "sslmode=require", Ok("t"));
    check(
        &named,
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={other_ca}"),
        unsigned,
    );
    let elsewhere = Names {
        common_name: "localhost",
        hosts: &["db.example.com"],
    };
    let elsewhere = authority.sign("elsewhere", elsewhere);
    let not_for = Err("certificate is not for localhost");
    let (full, ca_only) = (
        format!("sslmode=verify-full&sslrootcert={ca}"),
        format!("sslmode=verify-ca&sslrootcert={ca}"),
    );
    check(&elsewhere, "localhost", &full, not_for);
    check(&elsewhere, "localhost", &ca_only, Ok("t"));
    // Without alternative names the common name counts, as for libpq.
    let common = Names {
        common_name: "localhost",
        hosts: &[],
    };
    let common = authority.sign("common", common);
    check(&common, "localhost", &full, Ok("t"));
    check(
        &common,
        "127.0.0.1",
        &full,
        Err("certificate is not for 127.0.0.1"),
    );
    let expired = authority.sign_until("expired", LOCAL, 2001);
    check(&expired, "localhost", &full, Err("certificate has expired"));
    // A certificate that signed itself vouches for itself.
    let own = authority.self_signed("own", LOCAL, 4096);
    let own_file = own.certificate.display();
    check(
        &own,
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={own_file}"),
        Ok("t"),
    );
    check(&own, "localhost", &full, unsigned);
    let own = authority.self_signed("old", LOCAL, 2001);
    let own_file = own.certificate.display();
    check(
        &own,
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={own_file}"),
        Err("certificate has expired"),
    );
}

#[test]
fn logins_at_servers_use_the_best_method_and_no_worse_than_allowed() {
    let authority = Authority::new();
    let (pair, us) = (
        authority.sign("server", LOCAL),
        authority.sign(
            "us",
            Names {
                common_name: "certified",
                hosts: &[],
            },
        ),
    );
    let hba = [
        "host all hashed all md5",
        "host all cleared all password",
        "host all salted all scram-sha-256",
        "hostssl all certified all cert",
    ];
    let roles = [
        "SET password_encryption = md5",
        "CREATE ROLE hashed LOGIN PASSWORD 'pw'",
        "SET password_encryption = 'scram-sha-256'",
        "CREATE ROLE cleared LOGIN PASSWORD 'pw'",
        "CREATE ROLE salted LOGIN PASSWORD 'pw'",
        "CREATE ROLE certified LOGIN",
    ];
    let server = server(&hba, &roles);
    encrypt(&server, &pair, Some(&authority.file));
    let show = format!(
        "sslmode=require&sslcert={}&sslkey={}",
        us.certificate.display(),
        us.key.display()
    );
    for (user, query, expected) in [
        ("hashed:pw", "sslmode=disable", Ok("hashed")),
        ("hashed:pw", "sslmode=require", Ok("hashed")),
        ("cleared:pw", "sslmode=require", Ok("cleared")),
        ("cleared:pw", "sslmode=disable", Err("in the clear")),
        (
            "cleared:pw",
            "sslmode=disable&require_auth=password",
            Ok("cleared"),
        ),
        ("salted:pw", "sslmode=disable", Ok("salted")),
        // Only SCRAM-SHA-256-PLUS binds.
        (
            "salted:pw",
            "sslmode=require&channel_binding=require",
            Ok("salted"),
        ),
        (
            "salted:pw",
            "sslmode=require&channel_binding=disable",
            Ok("salted"),
        ),
        (
            "salted:pw",
            "sslmode=prefer&channel_binding=require&require_auth=scram-sha-256",
            Ok("salted"),
        ),
        (
            "salted:pw",
            "sslmode=allow&channel_binding=require",
            Err("channel_binding=require"),
        ),
        (
            "hashed:pw",
            "sslmode=require&channel_binding=require",
            Err("channel_binding=require"),
        ),
        (
            "hashed:pw",
            "sslmode=require&require_auth=scram-sha-256",
            Err("md5 authentication, which require_auth does not name"),
        ),
        (
            "postgres",
            "sslmode=require&require_auth=scram-sha-256",
            Err("no authentication, which require_auth"),
        ),
        ("certified", &show, Ok("certified")),
        ("certified", "sslmode=require", Err("certificate")),
        (
            "salted:wrong",
            "sslmode=require",
            Err("password authentication failed"),
        ),
    ] {
        let proxy = before(&server, user, "127.0.0.1", query);
        let (name, password) = user
            .split_once(':')
            .map_or((user, None), |(name, password)| (name, Some(password)));
        let asked = ask(proxy.port, name, password, "SELECT current_user");
        assert_asked(asked, expected, &format!("{user} {query}"));
    }
}

/// Passes connections on to this port. Gives its own, and what came first on each.
fn overheard(port: u16) -> (u16, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    std::thread::spawn(move || {
        for mut client in listener.incoming().map(Result::unwrap) {
            let mut first = vec![0; 8];
            client.read_exact(&mut first).unwrap();
            let mut server = connect(port);
            server.write_all(&first).unwrap();
            told.lock().unwrap().push(first);
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    (own, heard)
}

#[test]
fn cancel_requests_reach_a_server_over_tls() {
    let authority = Authority::new();
    let server = paceline_testkit::postgres();
    encrypt(&server, &authority.sign("server", LOCAL), None);
    let (port, heard) = overheard(server.port());
    let rig = Rig::before(server, |config| {
        config.databases[0].url.port = port;
        demand_tls(config);
    });
    let mut client = rig.client();
    client.send(&frame::query("SELECT pg_sleep(60)"));
    let mut direct = rig.direct();
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND state = 'active'";
    wait_until(PATIENCE, || direct.value(sleeping) == "1");
    client.cancel();
    let answer = client.read_until_ready();
    assert_eq!(support::sqlstates(&answer), ["57014"]);
    // The session, and the request: a key that is sent in the clear can be used by whoever sees it.
    assert_eq!(
        *heard.lock().unwrap(),
        [(); 2].map(|()| frame::ssl_request())
    );
}

/// A proxy with a certificate before a server that asks for nothing.
fn encrypting(authority: &Authority, change: impl FnOnce(&mut Config)) -> Rig {
    encrypting_before(paceline_testkit::postgres(), authority, change)
}

/// A proxy with a certificate before this server.
fn encrypting_before(
    server: PrivatePostgres,
    authority: &Authority,
    change: impl FnOnce(&mut Config),
) -> Rig {
    let pair = authority.sign("proxy", LOCAL);
    Rig::before(server, |config| {
        config.client_tls = ClientTls {
            certificate: Some(pair.certificate),
            key: Some(pair.key),
            ..ClientTls::default()
        };
        change(config);
    })
}

/// A proxy with a certificate before a server that it reaches over TLS.
fn encrypting_twice(authority: &Authority, change: impl FnOnce(&mut Config)) -> Rig {
    let server = paceline_testkit::postgres();
    encrypt(&server, &authority.sign("server", LOCAL), None);
    encrypting_before(server, authority, |config| {
        demand_tls(config);
        change(config);
    })
}

/// Of the server.
fn demand_tls(config: &mut Config) {
    let url = config.databases[0].url.to_string() + "?sslmode=require";
    config.databases[0].url = DatabaseUrl::parse(&url).unwrap();
}

fn psql(rig: &Rig, options: &[(&str, &str)], sql: &str) -> support::tool::Ended {
    let mut command = postgres_tool_at(rig.port, &rig.server, "psql");
    command.args(["-X", "-A", "-t", "-q", "-c", sql]);
    command.envs(options.iter().copied());
    run(&mut command)
}

#[test]
fn psql_gets_the_encryption_that_it_asks_for() {
    let authority = Authority::new();
    let rig = encrypting(&authority, |_| {});
    let (ca, other) = (authority.file.to_str().unwrap(), Authority::new());
    let other = other.file.to_str().unwrap();
    for (options, expected) in [
        (&[("PGSSLMODE", "disable")][..], Ok(())),
        (&[("PGSSLMODE", "prefer")], Ok(())),
        (&[("PGSSLMODE", "require")], Ok(())),
        (
            &[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", ca)],
            Ok(()),
        ),
        (
            &[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", other)],
            Err("certificate verify failed"),
        ),
    ] {
        let ended = psql(&rig, options, "SELECT 'in'");
        match expected {
            Ok(()) => assert_eq!(ended.unwrap().trim(), "in", "{options:?}"),
            Err(part) => assert!(ended.output.contains(part), "{options:?}: {}", ended.output),
        }
    }
    // Without a certificate there is none.
    let rig = Rig::start();
    let ended = psql(&rig, &[("PGSSLMODE", "require")], "SELECT 1");
    assert!(
        ended.output.contains("does not support SSL"),
        "{}",
        ended.output
    );
}

#[test]
fn clients_can_be_made_to_encrypt_and_to_show_a_certificate() {
    let authority = Authority::new();
    let rig = encrypting(&authority, |config| {
        config.client_tls.mode = ClientTlsMode::Require
    });
    let ended = psql(&rig, &[("PGSSLMODE", "disable")], "SELECT 1");
    assert!(ended.output.contains("tls_mode"), "{}", ended.output);
    assert_eq!(psql(&rig, &[], "SELECT 1").unwrap().trim(), "1");

    let ca = authority.file.clone();
    let rig = encrypting(&authority, move |config| {
        config.client_tls.mode = ClientTlsMode::VerifyCa;
        config.client_tls.client_ca = Some(ca);
    });
    let stranger = Authority::new();
    let (mine, foreign) = (
        authority.sign("client", LOCAL),
        stranger.sign("client", LOCAL),
    );
    let show = |pair: &Pair| {
        let (certificate, key) = (
            pair.certificate.to_str().unwrap().to_owned(),
            pair.key.to_str().unwrap().to_owned(),
        );
        let options = [
            ("PGSSLMODE", "require"),
            ("PGSSLCERT", certificate.as_str()),
            ("PGSSLKEY", key.as_str()),
        ];
        psql(&rig, &options, "SELECT 1")
    };
    assert_eq!(show(&mine).unwrap().trim(), "1");
    assert!(!show(&foreign).is_success);
    let without = [("PGSSLMODE", "require"), ("PGSSLCERT", "/nowhere")];
    assert!(!psql(&rig, &without, "SELECT 1").is_success);
}

/// A client of rustls's, for what psql cannot do.
type TlsClient = StreamOwned<ClientConnection, TcpStream>;

fn client_config(authority: &Authority, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(&authority.file).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn encrypted(stream: TcpStream, config: Arc<ClientConfig>) -> TlsClient {
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

/// Asks for TLS in the clear, as usual.
fn negotiated(port: u16, config: Arc<ClientConfig>) -> TlsClient {
    let mut stream = connect(port);
    stream.write_all(&frame::ssl_request()).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"S");
    encrypted(stream, config)
}

fn startup() -> Vec<u8> {
    frame::startup(&[("user", "postgres"), ("database", "postgres")])
}

/// A client that has logged in over TLS.
fn logged_in(rig: &Rig, authority: &Authority) -> TlsClient {
    let mut client = negotiated(rig.port, client_config(authority, &[]));
    client.write_all(&startup()).unwrap();
    read_to(&mut client, b'Z');
    client
}

/// Reads up to a message of this type, and gives its body.
fn read_to(client: &mut impl Read, wanted: u8) -> Vec<u8> {
    loop {
        let mut head = [0; 5];
        client.read_exact(&mut head).unwrap();
        let len = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
        let mut body = vec![0; len];
        client.read_exact(&mut body).unwrap();
        if head[0] == wanted {
            return body;
        }
    }
}

#[test]
fn tls_from_the_first_byte_must_name_the_protocol() {
    let authority = Authority::new();
    let rig = encrypting(&authority, |_| {});
    let direct = |alpn: &[&str]| encrypted(connect(rig.port), client_config(&authority, alpn));
    let mut client = direct(&["postgresql"]);
    client.write_all(&startup()).unwrap();
    read_to(&mut client, b'Z');
    client.write_all(&frame::query("SELECT 'direct'")).unwrap();
    let row = read_to(&mut client, b'D');
    assert!(row.ends_with(b"direct"), "{row:?}");

    let mut client = direct(&[]);
    client.write_all(&startup()).unwrap();
    let refusal = String::from_utf8_lossy(&read_to(&mut client, b'E')).into_owned();
    assert!(refusal.contains("ALPN"), "{refusal}");
    // Another protocol's name is refused in the handshake.
    let mut client = direct(&["http/1.1"]);
    assert!(client.write_all(&startup()).is_err() || client.read(&mut [0; 8]).is_err());
    // A request for TLS within TLS is nonsense.
    let mut client = direct(&["postgresql"]);
    client.write_all(&frame::ssl_request()).unwrap();
    read_to(&mut client, b'E');
}

#[test]
fn what_was_sent_in_the_clear_never_counts_as_encrypted() {
    let authority = Authority::new();
    let rig = encrypting(&authority, |_| {});
    let mut client = RawPg::connect(rig.port);
    let smuggled = [frame::ssl_request(), startup()].concat();
    client.send(&smuggled);
    let refusal = client.read();
    assert_eq!(refusal.sqlstate().as_deref(), Some("08P01"));
    assert!(client.rest().is_empty());

    // And on the server's side: whatever stands behind its yes is for the handshake to fail on.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let liar = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
        // AuthenticationOk, BackendKeyData and ReadyForQuery in the clear.
        let smuggled = [
            &b"S"[..],
            &frame::message(b'R', &[0; 4]),
            &frame::message(b'K', &[1; 8]),
            &frame::message(b'Z', b"I"),
        ];
        stream.write_all(&smuggled.concat()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=require");
    let proxy = serve(config(&url));
    let asked = ask(proxy.port, "postgres", None, "SELECT 1");
    assert!(asked.unwrap_err().contains("no TLS connection"));
    liar.join().unwrap();
}

#[test]
fn a_handshake_that_does_not_go_on_is_given_up() {
    let authority = Authority::new();
    let rig = encrypting(&authority, |config| {
        config.login_timeout = Duration::from_millis(300)
    });
    let mut stream = connect(rig.port);
    stream.write_all(&frame::ssl_request()).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    // Rubbish instead of a handshake ends it at once.
    let mut stream = connect(rig.port);
    stream.write_all(&frame::ssl_request()).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    stream.write_all(&[0x55; 64]).unwrap();
    let _ = stream.read_to_end(&mut rest);
    wait_until(PATIENCE, || {
        rig.proxy.stats().clients_per_worker.iter().sum::<usize>() == 0
    });
}

#[test]
fn certificates_are_exchanged_at_work() {
    let authority = Authority::new();
    let rig = encrypting(&authority, |_| {});
    let new = || {
        let client = logged_in(&rig, &authority);
        let certificates = client.conn.peer_certificates().unwrap();
        (certificates[0].clone(), client)
    };
    let (first, mut old) = new();
    // The same files, with something else in them.
    authority.sign("proxy", LOCAL);
    assert_eq!(new().0, first, "nobody has said so yet");
    let reload = || rig.proxy.reload((*rig.proxy.config()).clone());
    reload().unwrap();
    let (second, _) = new();
    assert_ne!(second, first);
    let pair = rig.proxy.config().client_tls.clone();
    let certificate = pair.certificate.unwrap();
    std::fs::write(&certificate, "nonsense").unwrap();
    let error = reload().unwrap_err().to_string();
    assert!(error.contains(certificate.to_str().unwrap()), "{error}");
    assert_eq!(new().0, second, "what was wrong has changed nothing");
    old.write_all(&frame::query("SELECT 'still here'")).unwrap();
    assert!(read_to(&mut old, b'D').ends_with(b"still here"));
}

#[test]
fn the_console_knows_who_is_encrypted() {
    let authority = Authority::new();
    let rig = encrypting(&authority, |_| {});
    let _plain = rig.client();
    let mut encrypted = negotiated(rig.port, client_config(&authority, &[]));
    encrypted.write_all(&startup()).unwrap();
    read_to(&mut encrypted, b'Z');
    let user = rig.server.user();
    let mut console = RawPg::login(rig.port, user, rig.server.password(), "paceline");
    let clients = console.rows("SHOW CLIENTS");
    let column = 17;
    let tls: Vec<_> = clients.iter().map(|row| row[column].as_deref()).collect();
    assert_eq!(tls, [Some(""), Some("TLS")]);
}

#[test]
fn a_file_that_will_not_do_changes_nothing() {
    let authority = Authority::new();
    let rig = encrypting(&authority, |_| {});
    let mut config = (*rig.proxy.config()).clone();
    config.pool_size = 9;
    let url = config.databases[0].url.to_string();
    let refused = |config: &Config, file: &str| {
        let error = rig.proxy.reload(config.clone()).unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
        assert_ne!(rig.proxy.config().pool_size, 9);
    };
    let with_root = format!("{url}?sslmode=verify-ca&sslrootcert=/nowhere/ca.pem");
    config.databases[0].url = DatabaseUrl::parse(&with_root).unwrap();
    refused(&config, "sslrootcert /nowhere/ca.pem");
    config.databases[0].url = DatabaseUrl::parse(&url).unwrap();
    config.client_auth.userlist = Some("/nowhere/userlist.txt".into());
    refused(&config, "userlist /nowhere/userlist.txt");
    config.client_auth.userlist = None;
    config.client_tls.key = Some(authority.file.clone());
    refused(&config, "tls_key");
}

#[test]
fn large_data_pass_through_tls_on_both_sides() {
    let authority = Authority::new();
    let rig = encrypting_twice(&authority, |_| {});
    let mut client = logged_in(&rig, &authority);
    client
        .write_all(&frame::query("CREATE TABLE big (line text)"))
        .unwrap();
    read_to(&mut client, b'Z');
    // 32 MiB in, as fast as they are taken, and out again to a reader who begins late.
    client
        .write_all(&frame::query("COPY big FROM STDIN"))
        .unwrap();
    read_to(&mut client, b'G');
    let line = [vec![b'x'; 8191], vec![b'\n']].concat();
    for _ in 0..4096 {
        client.write_all(&frame::message(b'd', &line)).unwrap();
    }
    client.write_all(&frame::message(b'c', &[])).unwrap();
    assert_eq!(read_to(&mut client, b'C'), b"COPY 4096\0");
    read_to(&mut client, b'Z');
    client
        .write_all(&frame::query("COPY big TO STDOUT"))
        .unwrap();
    let stuck = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY big TO%' AND wait_event = 'ClientWrite'";
    let mut direct = rig.direct();
    wait_until(PATIENCE, || direct.value(stuck) == "1");
    read_to(&mut client, b'H');
    for _ in 0..4096 {
        assert_eq!(read_to(&mut client, b'd').len(), line.len());
    }
    read_to(&mut client, b'Z');
}

#[test]
fn encrypted_clients_and_connections_move_between_workers() {
    let authority = Authority::new();
    let rig = encrypting_twice(&authority, |config| config.pool_size = 1);
    // One connection for clients of two workers: it goes to and fro.
    let counts = || rig.proxy.stats().clients_per_worker;
    let mut clients: Vec<_> = (0..6)
        .map(|_| {
            let before = counts();
            let client = logged_in(&rig, &authority);
            let is_at_first = counts()[0] > before[0];
            (client, is_at_first)
        })
        .collect();
    let ask = |client: &mut TlsClient, round: u32| {
        let text = format!("SELECT 'round {round}'");
        client.write_all(&frame::query(&text)).unwrap();
        let row = read_to(client, b'D');
        assert!(row.ends_with(format!("round {round}").as_bytes()));
        read_to(client, b'Z');
    };
    for round in 0..20 {
        clients
            .iter_mut()
            .for_each(|(client, _)| ask(client, round));
    }
    // Only those of one worker are busy, until one of them has gone to the other.
    let before = counts();
    assert_eq!(before, [3, 3]);
    let mut round = 20;
    wait_until(PATIENCE, || {
        round += 1;
        let busy = clients.iter_mut().filter(|(_, is_at_first)| *is_at_first);
        busy.for_each(|(client, _)| ask(client, round));
        counts() != before
    });
    clients.iter_mut().for_each(|(client, _)| ask(client, 0));
    assert_eq!(counts().iter().sum::<usize>(), 6);
    let pids: std::collections::HashSet<String> = clients
        .iter_mut()
        .map(|(client, _)| {
            let sql = "SELECT pg_backend_pid()::text";
            client.write_all(&frame::query(sql)).unwrap();
            let row = read_to(client, b'D');
            read_to(client, b'Z');
            String::from_utf8_lossy(&row[6..]).into_owned()
        })
        .collect();
    assert_eq!(pids.len(), 1, "all of them used the one connection");
}

#[test]
fn observed_clients_log_in_at_a_server_behind_tls() {
    let authority = Authority::new();
    let server = paceline_testkit::scram_postgres("pw");
    encrypt(&server, &authority.sign("server", LOCAL), None);
    let rig = encrypting_before(server, &authority, |config| {
        demand_tls(config);
        config.mode = Mode::Observe;
    });
    // libpq would not even go on if it were offered what it cannot have in the clear.
    let clear = [("PGSSLMODE", "disable")];
    assert_eq!(psql(&rig, &clear, IS_ENCRYPTED).unwrap().trim(), "t");
    // Encrypted twice, there is nothing that a login could be bound to.
    let twice = [("PGSSLMODE", "require"), ("PGCHANNELBINDING", "disable")];
    assert_eq!(psql(&rig, &twice, IS_ENCRYPTED).unwrap().trim(), "t");
}

/// What a session of our own gets that asks for one value, through a client library.
async fn ask_directly(url: &str, sql: &str) -> Result<String, String> {
    let url = url.parse().expect("a URL");
    let opened = open_session(url, Duration::from_secs(10)).await;
    let stream = opened.map_err(|error| error.to_string())?;
    let mut config = tokio_postgres::Config::new();
    config
        .user("whoever")
        .ssl_mode(tokio_postgres::config::SslMode::Disable);
    let (client, connection) = config
        .connect_raw(stream, tokio_postgres::NoTls)
        .await
        .expect("a greeting");
    let carried = tokio::spawn(connection);
    let row = client.query_one(sql, &[]).await.expect("a row");
    drop(client);
    carried.await.expect("no panic").expect("a goodbye");
    Ok(row.get(0))
}

#[tokio::test]
async fn sessions_of_our_own_are_opened_as_the_url_says() {
    let authority = Authority::new();
    let (tls, clear) = (server(&[], &[]), server(&[], &[]));
    encrypt(&tls, &authority.sign("server", LOCAL), None);
    let strict = PrivatePostgres::start(Options {
        auth: Auth::Scram {
            password: "right".to_owned(),
        },
        ..Options::default()
    });
    let strict = strict.expect("a server");
    let ca = authority.file.display();
    let rows = [
        (
            format!("{}?sslmode=require", tls.url("postgres")),
            Ok("true"),
        ),
        (
            format!(
                "{}?sslmode=verify-full&sslrootcert={ca}",
                tls.url("postgres")
            ),
            Ok("true"),
        ),
        (
            format!("{}?sslmode=disable", tls.url("postgres")),
            Ok("false"),
        ),
        (clear.url("postgres"), Ok("false")),
        (
            format!("{}?sslmode=require", clear.url("postgres")),
            Err("does not do TLS"),
        ),
        (strict.url("postgres"), Ok("false")),
        (
            strict.url("postgres").replace("right", "wrong"),
            Err("password"),
        ),
        (
            format!("{}?require_auth=md5", strict.url("postgres")),
            Err("require_auth"),
        ),
    ];
    let sql = "SELECT (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())::text";
    for (url, expected) in rows {
        assert_asked(ask_directly(&url, sql).await, expected, &url);
    }
}
