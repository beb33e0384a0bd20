//! Another configuration while everything runs, asked for in each way that there is.

use std::time::Duration;

use paceline_testkit::{
    Paceline, PrivatePostgres, RawPg, Signal, frame, http, postgres, wait_until,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

struct Setup {
    server: PrivatePostgres,
    paceline: Paceline,
}

impl Setup {
    fn start() -> Setup {
        let server = postgres();
        let paceline = Paceline::start(&configuration(&server, "pool_size = 2\n"));
        Setup { server, paceline }
    }

    fn write(&self, rest: &str) {
        self.paceline
            .write_config(&configuration(&self.server, rest));
    }

    /// Status and body.
    fn post(&self) -> (u16, Value) {
        post(&self.paceline, &[("X-Paceline", "1")])
    }

    fn pool_max(&self) -> Value {
        self.paceline.admin_json("/api/v1/pools")["pools"][0]["connections_max"].clone()
    }
}

fn configuration(server: &PrivatePostgres, rest: &str) -> String {
    format!("[postgres]\nurl = \"{}\"\n{rest}", server.url("postgres"))
}

fn post(paceline: &Paceline, headers: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{}/api/v1/reload", paceline.admin_url());
    let response = http::request("POST", &url, headers, b"");
    (response.status, response.json())
}

fn login(paceline: &Paceline) -> RawPg {
    RawPg::login(paceline.pg_port(), "postgres", None, "postgres")
}

#[test]
fn a_right_configuration_is_applied_and_no_client_notices() {
    let setup = Setup::start();
    let mut client = login(&setup.paceline);
    client.send(&frame::query("BEGIN; SELECT 1"));
    client.read_until_ready();
    assert_eq!(setup.pool_max(), 2);

    setup.write("pool_size = 7\nlisten = \"127.0.0.1:1\"\n[log]\nlevel = \"debug\"\n");
    let (status, answer) = setup.post();
    assert_eq!(status, 200, "{answer:#}");
    let list = |key: &str| answer[key].as_array().unwrap().clone();
    for key in ["postgres.pool_size", "log.level"] {
        assert!(list("changed").contains(&key.into()), "{answer:#}");
    }
    // The address is overridden by the environment, so that it has not changed.
    assert_eq!(list("need_restart"), Vec::<Value>::new(), "{answer:#}");
    assert_eq!(setup.pool_max(), 7);

    client.send(&frame::query("SELECT 2; COMMIT"));
    client.read_until_ready();

    setup.write("pool_size = 7\nclient_statements_max = 5\n");
    let (status, answer) = setup.post();
    assert_eq!(status, 200, "{answer:#}");
    assert_eq!(
        answer["need_restart"],
        serde_json::json!(["postgres.client_statements_max"])
    );
}

#[test]
fn a_wrong_configuration_changes_nothing_and_is_told_whole() {
    let setup = Setup::start();
    setup.write("pool_size = -1\nwait_timeout = 3\n[log]\nlevel = \"loud\"\n");
    let (status, answer) = setup.post();
    assert_eq!((status, &answer["ok"]), (422, &false.into()));
    let problems = answer["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 3, "{answer:#}");
    assert!(
        problems[0].as_str().unwrap().contains("paceline.toml:3:1"),
        "{answer:#}"
    );
    assert_eq!(setup.pool_max(), 2);
    assert_eq!(login(&setup.paceline).value("SELECT 1"), "1");
}

#[test]
fn sighup_reads_the_configuration_again() {
    let setup = Setup::start();
    setup.write("pool_size = 9\n");
    setup.paceline.process().signal(Signal::HangUp);
    wait_until(PATIENCE, || setup.pool_max() == 9);
    setup.write("pool_size = -9\n");
    setup.paceline.process().signal(Signal::HangUp);
    wait_until(PATIENCE, || {
        setup.paceline.log().contains("The configuration is wrong")
    });
    assert_eq!(setup.pool_max(), 9);
    assert!(
        setup.paceline.log().contains("from 0 to"),
        "{}",
        setup.paceline.log()
    );
}

#[test]
fn a_web_page_cannot_ask_for_it() {
    let setup = Setup::start();
    let (status, answer) = post(&setup.paceline, &[]);
    assert_eq!(status, 403, "{answer:#}");
}

#[test]
fn files_are_part_of_what_is_checked() {
    let setup = Setup::start();
    setup.write("pool_size = 7\nuserlist = \"/does/not/exist\"\n");
    let (status, answer) = setup.post();
    assert_eq!(status, 422, "{answer:#}");
    let problem = answer["problems"][0].as_str().unwrap();
    let expected = "postgres.userlist: /does/not/exist: it could not be read";
    assert!(problem.contains(expected), "{answer:#}");
    assert_eq!(setup.pool_max(), 2);
}

#[test]
fn a_half_that_does_not_run_waits_for_the_next_start() {
    let gateway = "[gateway]\nupstream = \"http://127.0.0.1:9\"\n";
    let launch = Paceline::launch().config(gateway).without_backends();
    let paceline = launch.start();
    let postgres = "[postgres]\nurl = \"postgres://u@127.0.0.1:1/d\"\npool_size = 3\n";
    paceline.write_config(&format!("{gateway}{postgres}"));
    for _ in 0..2 {
        let (status, answer) = post(&paceline, &[("X-Paceline", "1")]);
        assert_eq!(status, 200, "{answer:#}");
        assert_eq!(answer["changed"], serde_json::json!([]), "{answer:#}");
        let keys = ["postgres.url", "postgres.pool_size"];
        assert_eq!(answer["need_restart"], serde_json::json!(keys));
    }

    // And the other way round: the half that runs goes on as it is.
    let setup = Setup::start();
    setup
        .paceline
        .write_config("[gateway]\nupstream = \"http://127.0.0.1:9\"\n");
    let (status, answer) = setup.post();
    assert_eq!(status, 200, "{answer:#}");
    assert_eq!(answer["changed"], serde_json::json!([]), "{answer:#}");
    assert_eq!(setup.pool_max(), 2);
    assert_eq!(login(&setup.paceline).value("SELECT 1"), "1");
}
