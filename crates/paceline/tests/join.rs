//! The join as the admin port shows it: from a request to its statements to a finding, over a scripted application and a
//! private Postgres.

use std::sync::OnceLock;
use std::time::Duration;

use paceline_testkit::http;
use paceline_testkit::origin::{Origin, Peer, Request};
use paceline_testkit::{Paceline, RawPg, postgres, wait_until};

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn the_join_is_seen_from_request_to_statement_to_finding() {
    let server = postgres();
    static PORT: OnceLock<u16> = OnceLock::new();
    // An application that asks one statement per row, and tags its statements as instrumentations do.
    let origin = Origin::start(|request: &Request, peer: &mut Peer| {
        let trace = request.header("traceparent").expect("a trace").to_owned();
        let mut session = RawPg::login(
            *PORT.get().expect("Paceline runs"),
            "postgres",
            None,
            "postgres",
        );
        let rows = if request.path == "/list" { 8 } else { 1 };
        for id in 1..=rows {
            session.value(&format!(
                "SELECT name FROM companies WHERE id = {id} /*traceparent='{trace}'*/"
            ));
        }
        peer.respond(200, &[], b"listed")
    });
    let mut direct = RawPg::login(server.port(), "postgres", None, "postgres");
    direct.query("CREATE TABLE companies (id int PRIMARY KEY, name text NOT NULL)");
    direct.query("INSERT INTO companies SELECT id, 'c' || id FROM generate_series(1, 20) AS id");
    let paceline = Paceline::launch()
        .upstream(&origin.url(""))
        .database(&server.url("postgres"))
        .start();
    PORT.set(paceline.pg_port()).expect("set once");
    for _ in 0..5 {
        assert_eq!(
            http::get(&format!("{}/list", paceline.http_url())).text(),
            "listed"
        );
        assert_eq!(
            http::get(&format!("{}/one", paceline.http_url())).text(),
            "listed"
        );
    }
    // Until all requests are recorded.
    wait_until(SOON, || {
        paceline.admin_json("/api/v1/requests")["requests"]
            .as_array()
            .map(Vec::len)
            == Some(10)
    });
    let shapes = paceline.admin_json("/api/v1/shapes");
    let shape = &shapes["shapes"][0];
    assert_eq!(
        (&shape["summary"], &shape["executions"]),
        (&"SELECT companies".into(), &45.into())
    );
    assert!(
        shape["text"]
            .as_str()
            .is_some_and(|text| text.contains("$1") && !text.contains("traceparent")),
        "{shape}"
    );

    let listed = paceline.admin_json("/api/v1/requests?route=GET%20/list&limit=1");
    let summary = &listed["requests"][0];
    assert_eq!(
        (&summary["statements"], &summary["statements_shared"]),
        (&8.into(), &0.0.into())
    );
    let id = summary["id"].as_str().expect("an id");
    let request = paceline.admin_json(&format!("/api/v1/requests/{id}"));
    let statements = request["statement_list"].as_array().expect("statements");
    assert_eq!(statements.len(), 8);
    assert!(
        statements
            .iter()
            .all(|statement| statement["attribution"] == "tagged" && statement["rows"] == 1)
    );

    let findings = paceline.admin_json("/api/v1/findings");
    let findings = findings["findings"].as_array().expect("findings").iter();
    let findings: Vec<_> = findings
        .filter(|one| one["subject"]["kind"] == "route")
        .collect();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        (&findings[0]["rule"], &findings[0]["subject"]["name"]),
        (&"n-plus-one".into(), &"GET /list".into())
    );

    let pools = paceline.admin_json("/api/v1/pools");
    let pool = &pools["pools"][0];
    assert_eq!(
        (&pool["database"], &pool["user"]),
        (&"postgres".into(), &"postgres".into())
    );
    assert!(
        pool["connects_total"].as_u64() >= Some(1) && pool["connects_total"].as_u64() <= Some(20),
        "{pool}"
    );
    let page = http::get(&format!("{}/metrics", paceline.admin_url())).text();
    for line in [
        "db_client_operation_duration_seconds_count{db_system_name=\"postgresql\",db_query_summary=\"SELECT companies\"} 45\n",
        "paceline_pool_connections_max{database=\"postgres\",user=\"postgres\"} 20\n",
        "paceline_statements_attributed_total{attribution=\"tagged\"} 45\n",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    let ready = paceline.admin_json("/readyz");
    assert_eq!(
        (&ready["gateway"]["ready"], &ready["postgres"]["ready"]),
        (&true.into(), &true.into())
    );
    drop(server);
    let readyz = format!("{}/readyz", paceline.admin_url());
    // Until the lost database is noticed.
    wait_until(SOON, || http::get(&readyz).status == 503);
    let state = http::get(&readyz).json();
    assert_eq!(
        (&state["gateway"]["ready"], &state["postgres"]["ready"]),
        (&true.into(), &false.into())
    );
    let reason = state["reasons"][0].as_str().expect("a reason").to_owned();
    assert!(reason.starts_with("The database at 127.0.0.1:"), "{reason}");
}
