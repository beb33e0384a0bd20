//! The console: PgBouncer's words and columns, on the port for clients.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use paceline_testkit::{
    Frame, Paceline, PrivatePostgres, RawPg, frame, postgres, psql, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(30);

struct Setup {
    server: PrivatePostgres,
    paceline: Paceline,
}

impl Setup {
    fn start(rest: &str) -> Setup {
        let server = postgres();
        let config = format!("[postgres]\nurl = \"{}\"\n{rest}", server.url("postgres"));
        let paceline = Paceline::start(&config);
        Setup { server, paceline }
    }

    fn console(&self) -> RawPg {
        RawPg::login(self.paceline.pg_port(), "postgres", None, "paceline")
    }

    fn client(&self) -> RawPg {
        RawPg::login(self.paceline.pg_port(), "postgres", None, "postgres")
    }
}

/// The rows of a command, each by the names of its columns.
fn show(console: &mut RawPg, command: &str) -> Vec<BTreeMap<String, String>> {
    let frames = console.query(command);
    let columns = columns(&frames);
    let rows = frames.iter().filter(|frame| frame.tag == b'D');
    rows.map(|row| {
        let values = row.values().into_iter().map(Option::unwrap_or_default);
        columns.iter().cloned().zip(values).collect()
    })
    .collect()
}

fn columns(frames: &[Frame]) -> Vec<String> {
    described(frames)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

/// The columns with the object ids of their types.
fn described(frames: &[Frame]) -> Vec<(String, u32)> {
    let description = frames.iter().find(|frame| frame.tag == b'T');
    let description = description.unwrap_or_else(|| panic!("no rows: {:?}", error(frames)));
    let mut rest = &description.body[2..];
    let mut columns = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let name = String::from_utf8(rest[..end].to_vec()).unwrap();
        let oid = rest[end + 7..end + 11].try_into().unwrap();
        columns.push((name, u32::from_be_bytes(oid)));
        rest = &rest[end + 1 + 18..];
    }
    columns
}

/// SQLSTATE and message.
fn error(frames: &[Frame]) -> Option<(String, String)> {
    let error = frames.iter().find(|frame| frame.tag == b'E')?;
    Some((error.sqlstate()?, error.field(b'M')?))
}

fn tag(frames: &[Frame]) -> String {
    let complete = frames.iter().find(|frame| frame.tag == b'C');
    let complete = complete.unwrap_or_else(|| panic!("{:?}", error(frames)));
    String::from_utf8_lossy(&complete.body)
        .trim_end_matches('\0')
        .to_owned()
}

/// The columns that monitoring reads, by what PgBouncer calls them.
#[test]
fn the_tables_have_the_columns_that_tools_ask_for() {
    let setup = Setup::start("");
    setup.client().value("SELECT 1");
    let mut console = setup.console();
    let rows: &[(&str, &[&str])] = &[
        (
            "SHOW DATABASES;",
            &[
                "name",
                "host",
                "port",
                "database",
                "force_user",
                "pool_size",
                "reserve_pool_size",
                "pool_mode",
                "max_connections",
                "current_connections",
                "paused",
                "disabled",
            ],
        ),
        (
            "SHOW STATS_TOTALS;",
            &[
                "database",
                "query_count",
                "query_time",
                "bytes_received",
                "bytes_sent",
                "wait_time",
                "xact_count",
                "xact_time",
                "server_assignment_count",
            ],
        ),
        (
            "SHOW STATS",
            &[
                "database",
                "total_xact_count",
                "total_query_count",
                "total_received",
                "total_sent",
                "avg_xact_count",
                "avg_query_time",
            ],
        ),
        (
            "SHOW STATS_AVERAGES",
            &["database", "xact_count", "query_time"],
        ),
        (
            "SHOW POOLS;",
            &[
                "database",
                "user",
                "cl_active",
                "cl_waiting",
                "cl_active_cancel_req",
                "cl_waiting_cancel_req",
                "sv_active",
                "sv_active_cancel",
                "sv_being_canceled",
                "sv_idle",
                "sv_used",
                "sv_tested",
                "sv_login",
                "maxwait",
                "maxwait_us",
                "pool_mode",
            ],
        ),
        (
            "SHOW CLIENTS;",
            &[
                "type",
                "user",
                "database",
                "state",
                "addr",
                "port",
                "application_name",
                "id",
            ],
        ),
        (
            "SHOW SERVERS",
            &["type", "user", "database", "state", "remote_pid", "link"],
        ),
        ("SHOW SOCKETS", &["type", "state"]),
        ("SHOW USERS", &["name", "pool_size", "pool_mode"]),
        ("SHOW LISTS;", &["list", "items"]),
        ("SHOW CONFIG;", &["key", "value", "default", "changeable"]),
        ("SHOW TOTALS", &["name", "value"]),
        ("SHOW STATE", &["key", "value"]),
        ("SHOW MEM", &["name", "size", "used", "free", "memtotal"]),
        ("SHOW VERSION;", &["version"]),
    ];
    for (command, expected) in rows {
        let found = columns(&console.query(command));
        for column in *expected {
            assert!(
                found.iter().any(|name| name == column),
                "{command}: {column} in {found:?}"
            );
        }
    }
    let config = show(&mut console, "SHOW CONFIG");
    let max = config
        .iter()
        .find(|row| row["key"] == "max_client_conn")
        .unwrap();
    assert_eq!(max["value"], "10000");
    let url = config
        .iter()
        .find(|row| row["key"] == "postgres.url")
        .unwrap();
    assert_eq!(url["changeable"], "yes");
    let lists = show(&mut console, "SHOW LISTS");
    assert!(
        lists
            .iter()
            .any(|row| row["list"] == "pools" && row["items"] == "1"),
        "{lists:?}"
    );
}

#[test]
fn the_tables_show_who_is_there_and_what_was_done() {
    let setup = Setup::start("pool_size = 1\n");
    let mut console = setup.console();
    let mut holder = setup.client();
    let mut idle = setup.client();
    idle.value("SELECT 1");
    holder.rows("BEGIN");
    let state = |console: &mut RawPg| -> Vec<String> {
        show(console, "SHOW CLIENTS")
            .iter()
            .map(|row| row["state"].clone())
            .collect()
    };
    assert_eq!(state(&mut console), ["active", "idle"]);
    idle.send(&frame::query("SELECT 2"));
    wait_until(PATIENCE, || {
        state(&mut setup.console()) == ["active", "waiting"]
    });
    let pool = show(&mut console, "SHOW POOLS").remove(0);
    let of = |key: &str| pool[key].as_str();
    assert_eq!(
        [of("database"), of("user"), of("pool_mode")],
        ["postgres", "postgres", "transaction"]
    );
    assert_eq!(
        [
            of("cl_active"),
            of("cl_waiting"),
            of("sv_active"),
            of("sv_idle")
        ],
        ["1", "1", "1", "0"]
    );
    let server = show(&mut console, "SHOW SERVERS").remove(0);
    let holder_row = show(&mut console, "SHOW CLIENTS").remove(0);
    assert_eq!(server["link"], holder_row["ptr"]);
    assert_eq!(
        server["remote_pid"],
        holder.value("SELECT pg_backend_pid()")
    );
    holder.rows("COMMIT");
    idle.read_until_ready();
    let totals = show(&mut console, "SHOW STATS_TOTALS").remove(0);
    assert_eq!(totals["xact_count"], "3", "{totals:?}");
    assert_eq!(totals["query_count"], "5", "{totals:?}");
    assert_eq!(totals["client_login_count"], "2");
    assert!(
        totals["wait_time"].parse::<u64>().unwrap() > 0,
        "{totals:?}"
    );
    drop((holder, idle));
    wait_until(PATIENCE, || state(&mut setup.console()).is_empty());
}

#[test]
fn pause_waits_for_transactions_and_resume_lets_everybody_go() {
    let setup = Setup::start("wait_timeout = \"200ms\"\n");
    let mut console = setup.console();
    let mut busy = setup.client();
    busy.rows("BEGIN");
    console.send(&frame::query("PAUSE"));
    assert!(
        console.is_silent_for(Duration::from_millis(300)),
        "a transaction is open"
    );
    busy.rows("COMMIT");
    assert_eq!(tag(&console.read_until_ready()), "PAUSE");
    assert_eq!(show(&mut console, "SHOW SERVERS"), []);
    assert_eq!(error(&console.query("PAUSE")).unwrap().0, "55000");
    // Newcomers and those who are there are held, for longer than wait_timeout.
    let paceline = setup.paceline.pg_port();
    let newcomer = thread::spawn(move || {
        RawPg::login(paceline, "postgres", None, "postgres").value("SELECT 7")
    });
    busy.send(&frame::query("SELECT 8"));
    assert!(busy.is_silent_for(Duration::from_millis(600)));
    assert_eq!(show(&mut console, "SHOW STATE")[1]["value"], "yes");
    assert_eq!(tag(&console.query("RESUME")), "RESUME");
    assert_eq!(newcomer.join().unwrap(), "7");
    assert!(
        busy.read_until_ready()
            .iter()
            .any(|frame| frame.tag == b'D')
    );
    assert!(error(&console.query("RESUME")).is_some());
    // One database alone.
    assert_eq!(tag(&console.query("PAUSE postgres;")), "PAUSE");
    assert_eq!(show(&mut console, "SHOW DATABASES")[0]["paused"], "1");
    assert_eq!(tag(&console.query("RESUME postgres;")), "RESUME");
    assert_eq!(busy.value("SELECT 9"), "9");
    assert!(
        error(&console.query("PAUSE nothing"))
            .unwrap()
            .1
            .contains("no database")
    );
}

#[test]
fn a_pause_that_does_not_end_can_be_forced_or_given_up() {
    let setup = Setup::start("");
    let (mut console, mut forcing) = (setup.console(), setup.console());
    let mut busy = setup.client();
    busy.rows("BEGIN");
    let pause = |console: &mut RawPg, other: &mut RawPg| {
        console.send(&frame::query("PAUSE postgres"));
        wait_until(PATIENCE, || {
            show(other, "SHOW DATABASES")[0]["paused"] == "1"
        });
    };
    pause(&mut console, &mut forcing);
    assert_eq!(tag(&forcing.query("RESUME postgres")), "RESUME");
    let given_up = error(&console.read_until_ready()).unwrap();
    assert!(given_up.1.contains("resumed before"), "{given_up:?}");

    pause(&mut console, &mut forcing);
    assert_eq!(tag(&forcing.query("KILL postgres")), "KILL");
    assert_eq!(busy.read().sqlstate().as_deref(), Some("57P01"));
    assert_eq!(tag(&console.read_until_ready()), "PAUSE");

    // A database can be released that a reload has removed: it may come back.
    let url = setup.server.url("postgres");
    let renamed = format!("[[postgres.databases]]\nname = \"other\"\nurl = \"{url}\"\n");
    setup.paceline.write_config(&renamed);
    assert_eq!(tag(&forcing.query("RELOAD")), "RELOAD");
    assert_eq!(tag(&forcing.query("RESUME postgres")), "RESUME");
    let again = error(&forcing.query("RESUME postgres")).unwrap();
    assert!(again.1.contains("no database"), "{again:?}");
}

#[test]
fn connections_are_renewed_and_clients_sent_away() {
    let setup = Setup::start("");
    let mut console = setup.console();
    let mut client = setup.client();
    let before = client.value("SELECT pg_backend_pid()");
    assert_eq!(tag(&console.query("RECONNECT")), "RECONNECT");
    assert_eq!(tag(&console.query("WAIT_CLOSE")), "WAIT_CLOSE");
    assert_ne!(client.value("SELECT pg_backend_pid()"), before);

    let id = show(&mut console, "SHOW CLIENTS")[0]["id"].clone();
    assert_eq!(
        tag(&console.query(&format!("KILL_CLIENT {id}"))),
        "KILL_CLIENT"
    );
    assert_eq!(client.read().sqlstate().as_deref(), Some("57P01"));
    assert!(error(&console.query(&format!("KILL_CLIENT {id}"))).is_some());

    // With a statement under way, which ends too.
    let mut client = setup.client();
    client.send(&frame::query("SELECT pg_sleep(600)"));
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(600)'";
    let url = setup.server.url("postgres");
    let count = || psql(&setup.server, &url, sleeping).trim().to_owned();
    wait_until(PATIENCE, || count() == "2" || count() == "1");
    wait_until(PATIENCE, || {
        show(&mut setup.console(), "SHOW CLIENTS")[0]["state"] == "active"
    });
    assert_eq!(tag(&console.query("KILL postgres")), "KILL");
    assert_eq!(client.read().sqlstate().as_deref(), Some("57P01"));
    let mut waiting = RawPg::connect(setup.paceline.pg_port());
    waiting.send(&frame::startup(&[
        ("user", "postgres"),
        ("database", "postgres"),
    ]));
    console.query("RESUME postgres");
    waiting.authenticate(None).unwrap();
    assert_eq!(waiting.value("SELECT 1"), "1");

    assert_eq!(tag(&console.query("DISABLE postgres")), "DISABLE");
    let mut refused = RawPg::connect(setup.paceline.pg_port());
    refused.send(&frame::startup(&[
        ("user", "postgres"),
        ("database", "postgres"),
    ]));
    assert_eq!(
        refused
            .authenticate(None)
            .unwrap_err()
            .sqlstate()
            .as_deref(),
        Some("57P03")
    );
    assert_eq!(waiting.value("SELECT 1"), "1", "who is there stays");
    assert_eq!(tag(&console.query("ENABLE postgres")), "ENABLE");
    setup.client();
}

#[test]
fn what_cannot_be_is_refused_with_the_remedy() {
    let setup = Setup::start("console_stats_users = [\"postgres\"]\nconsole_users = [\"admin\"]\n");
    let mut console = setup.console();
    let sqlstate = |console: &mut RawPg, text: &str| error(&console.query(text)).unwrap().0;
    assert_eq!(sqlstate(&mut console, "RELOAD"), "42501");
    assert_eq!(sqlstate(&mut console, "SHUTDOWN"), "42501");
    assert_eq!(sqlstate(&mut console, "SELECT 1"), "42601");
    assert_eq!(sqlstate(&mut console, "SHOW FDS"), "0A000");
    assert_eq!(show(&mut console, "SHOW VERSION").len(), 1);
    assert_eq!(tag(&console.query("SET extra_float_digits = 2")), "SET");

    let setup = Setup::start("");
    let mut console = setup.console();
    assert_eq!(sqlstate(&mut console, "SUSPEND"), "0A000");
    for command in ["PAUSE", "RECONNECT", "KILL", "WAIT_CLOSE", "DISABLE"] {
        let refused = error(&console.query(&format!("{command} nowhere"))).unwrap();
        assert!(refused.1.contains("no database \"nowhere\""), "{refused:?}");
    }
    let frames = console.query("SET pool_size = 3");
    let refusal = frames.iter().find(|frame| frame.tag == b'E').unwrap();
    assert!(
        refusal.field(b'H').unwrap().contains("RELOAD"),
        "{refusal:?}"
    );
    let help = console.query("SHOW HELP");
    let notice = help.iter().find(|frame| frame.tag == b'N').unwrap();
    assert!(notice.field(b'D').unwrap().contains("RECONNECT"));
}

#[test]
fn the_configuration_is_reloaded_and_the_process_ended_from_here() {
    let setup = Setup::start("pool_size = 2\n");
    let mut console = setup.console();
    let url = setup.server.url("postgres");
    setup
        .paceline
        .write_config(&format!("[postgres]\nurl = \"{url}\"\npool_size = 5\n"));
    assert_eq!(tag(&console.query("RELOAD")), "RELOAD");
    assert_eq!(show(&mut console, "SHOW DATABASES")[0]["pool_size"], "5");
    setup.paceline.write_config("[postgres]\nurl = 3\n");
    assert_eq!(error(&console.query("RELOAD")).unwrap().0, "F0000");
    assert_eq!(show(&mut console, "SHOW DATABASES")[0]["pool_size"], "5");

    let mut client = setup.client();
    client.rows("BEGIN");
    assert_eq!(tag(&console.query("SHUTDOWN WAIT_FOR_SERVERS")), "SHUTDOWN");
    assert_eq!(console.read().sqlstate().as_deref(), Some("57P01"));
    client.rows("COMMIT");
    assert_eq!(client.read().sqlstate().as_deref(), Some("57P01"));
    assert!(setup.paceline.process().wait(PATIENCE).unwrap().success());
}

#[test]
fn drivers_that_prepare_everything_can_ask_too() {
    let setup = Setup::start("");
    let mut console = setup.console();
    console.send(
        &[
            frame::parse("s", "SHOW LISTS", &[]),
            frame::describe(b'S', "s"),
            frame::bind("", "s", &[]),
            frame::execute("", 0),
            frame::sync(),
        ]
        .concat(),
    );
    let frames = console.read_until_ready();
    let tags: Vec<u8> = frames.iter().map(|frame| frame.tag).collect();
    assert!(
        tags.starts_with(b"1tT2DD") && tags.ends_with(b"CZ"),
        "{:?}",
        String::from_utf8_lossy(&tags)
    );
    // An error skips to the Sync.
    console.send(
        &[
            frame::parse("", "nonsense", &[]),
            frame::execute("", 0),
            frame::sync(),
        ]
        .concat(),
    );
    let tags: Vec<u8> = console
        .read_until_ready()
        .iter()
        .map(|frame| frame.tag)
        .collect();
    assert_eq!(tags, b"EZ");
    let url = setup.paceline.pg_url("postgres", "pgbouncer");
    assert!(psql(&setup.server, &url, "SHOW POOLS").contains("postgres"));
}

/// How the column of a label comes to the exporter: as text or as an integer, which is how its driver takes these types.
const LABEL_TYPES: &[u32] = &[25, 23, 20];

/// PgBouncer's exporter for Prometheus: its commands, in its order, over its driver's connection, and what it makes of the columns.
#[test]
fn the_exporter_finds_every_column_that_it_maps() {
    let setup = Setup::start("");
    let mut client = setup.client();
    client.value("SELECT 1");
    let mut exporter = RawPg::connect(setup.paceline.pg_port());
    exporter.send(&frame::startup(&[
        ("user", "postgres"),
        ("database", "pgbouncer"),
        ("client_encoding", "UTF8"),
        ("datestyle", "ISO, MDY"),
        ("extra_float_digits", "2"),
    ]));
    exporter.authenticate(None).unwrap();

    assert_eq!(tag(&exporter.query("SHOW STATS")), "SHOW");
    let version = exporter.query("SHOW VERSION;");
    assert_eq!(described(&version), [("version".to_owned(), 25)]);
    let lists = exporter.query("SHOW LISTS;");
    assert_eq!(columns(&lists).len(), 2);
    let lists = numbers(&lists, 1);
    for list in [
        "databases",
        "users",
        "pools",
        "free_clients",
        "used_clients",
        "login_clients",
        "free_servers",
        "used_servers",
        "dns_names",
        "dns_zones",
        "dns_queries",
    ] {
        assert!(lists.contains_key(list), "{list} in {lists:?}");
    }
    assert_eq!((lists["databases"], lists["used_clients"]), (1.0, 1.0));
    let config = exporter.query("SHOW CONFIG;");
    assert_eq!(columns(&config).len(), 4);
    for row in config.iter().filter(|frame| frame.tag == b'D') {
        // Scanned into what takes no NULL.
        let values = row.values();
        assert!(values[0].is_some() && values[3].is_some(), "{values:?}");
    }
    let known = ["max_client_conn", "max_user_connections"];
    let is_known = |row: &&Frame| known.contains(&row.values()[0].as_deref().unwrap());
    let config: Vec<_> = config.iter().filter(|frame| frame.tag == b'D').collect();
    let config: Vec<_> = config.into_iter().filter(is_known).cloned().collect();
    assert_eq!(numbers(&config, 1).len(), known.len());

    let clients = exporter.query("SHOW CLIENTS;");
    maps(
        &clients,
        &["database", "user", "application_name", "state"],
        &[],
    );
    maps(
        &exporter.query("SHOW databases;"),
        &[
            "name",
            "host",
            "port",
            "database",
            "force_user",
            "pool_mode",
        ],
        &[
            "pool_size",
            "reserve_pool_size",
            "max_connections",
            "current_connections",
            "paused",
            "disabled",
        ],
    );
    maps(
        &exporter.query("SHOW stats_totals;"),
        &["database"],
        &[
            "query_count",
            "query_time",
            "bytes_received",
            "bytes_sent",
            "wait_time",
            "xact_count",
            "xact_time",
            "client_parse_count",
            "server_parse_count",
            "bind_count",
            "server_assignment_count",
        ],
    );
    maps(
        &exporter.query("SHOW pools;"),
        &["database", "user"],
        &[
            "cl_active",
            "cl_active_cancel_req",
            "cl_waiting",
            "cl_waiting_cancel_req",
            "sv_active",
            "sv_active_cancel",
            "sv_being_canceled",
            "sv_idle",
            "sv_used",
            "sv_tested",
            "sv_login",
            "maxwait",
        ],
    );
    // What its driver sends to see whether a connection still lives.
    let tags: Vec<_> = exporter.query(";").iter().map(|frame| frame.tag).collect();
    assert_eq!(tags, b"IZ");
}

/// The values of a column by those of the first, as numbers.
#[track_caller]
fn numbers(frames: &[Frame], column: usize) -> BTreeMap<String, f64> {
    let rows = frames.iter().filter(|frame| frame.tag == b'D');
    rows.map(|row| {
        let values = row.values();
        let value = values[column].as_deref().unwrap();
        (values[0].clone().unwrap(), value.parse().unwrap())
    })
    .collect()
}

/// Asserts that there is a row, that its labels are of types that can be labels, and that its metrics are numbers.
#[track_caller]
fn maps(frames: &[Frame], labels: &[&str], metrics: &[&str]) {
    let columns = described(frames);
    let row = frames.iter().find(|frame| frame.tag == b'D').unwrap();
    let value_of = |wanted: &str| {
        let found = columns.iter().position(|(name, _)| name == wanted);
        let index = found.unwrap_or_else(|| panic!("{wanted} in {columns:?}"));
        (columns[index].1, row.values()[index].clone())
    };
    for label in labels {
        let (oid, _) = value_of(label);
        assert!(LABEL_TYPES.contains(&oid), "{label} is of type {oid}");
    }
    for metric in metrics {
        let (_, value) = value_of(metric);
        let value = value.unwrap_or_else(|| panic!("{metric} is null"));
        assert!(value.parse::<f64>().is_ok(), "{metric}: {value}");
    }
}
