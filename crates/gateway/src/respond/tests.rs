use super::*;

const ALL: [Refusal; 16] = [
    Refusal::BadRequest("Why."),
    Refusal::Connect,
    Refusal::TransferCoding,
    Refusal::Expectation,
    Refusal::HeadersTooLarge,
    Refusal::UriTooLong,
    Refusal::BodyTooLarge,
    Refusal::BodyUnreadable,
    Refusal::ClientTooSlow,
    Refusal::Overloaded,
    Refusal::UpstreamUnreachable,
    Refusal::UpstreamConnectTimeout,
    Refusal::UpstreamTimeout,
    Refusal::UpstreamClosed,
    Refusal::UpstreamGarbage,
    Refusal::OutOfDescriptors,
];

fn body(response: &Response<ResponseBody>) -> String {
    let ResponseBody::Own(Some(bytes)) = response.body() else {
        panic!("our own body")
    };
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_refusal_is_a_valid_problem() {
    let id = paceline_journal::TraceParent::parse(
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    .map(|trace| RequestId::from(trace.trace_id));
    for refusal in ALL {
        let response = problem(refusal, id);
        let json: serde_json::Value = serde_json::from_str(&body(&response)).unwrap();
        assert_eq!(json["status"], refusal.status().as_u16(), "{refusal:?}");
        assert_eq!(response.status(), refusal.status());
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert!(
            json["type"]
                .as_str()
                .unwrap()
                .starts_with("urn:paceline:problem:")
        );
        assert!(json["title"].as_str().unwrap().len() > 5);
        assert!(
            json["detail"].as_str().unwrap().ends_with('.'),
            "{refusal:?}"
        );
        assert_eq!(json["request_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(
            json["instance"],
            "urn:paceline:request:0af7651916cd43dd8448eb211c80319c"
        );
    }
}

#[test]
fn without_a_request_there_is_no_instance() {
    let response = problem(Refusal::Connect, None);
    assert!(!body(&response).contains("instance"));
    let text = String::from_utf8(problem_bytes(Refusal::Overloaded)).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{head}"
    );
    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{head}"
    );
    assert!(
        head.contains("retry-after: 1") && head.contains("connection: close"),
        "{head}"
    );
    assert!(
        serde_json::from_str::<serde_json::Value>(body).is_ok(),
        "{body}"
    );
}

#[test]
fn faults_are_told_apart() {
    for refusal in ALL {
        let status = refusal.status().as_u16();
        let ours = refusal == Refusal::OutOfDescriptors || matches!(status, 502 | 504);
        assert_eq!(
            refusal.load_error().is_clients_fault(),
            !ours,
            "{refusal:?}"
        );
        let response = problem(refusal, None);
        let has = |name| response.headers().contains_key(name);
        assert_eq!(has(CONNECTION), !ours, "{refusal:?}");
        assert_eq!(has(RETRY_AFTER), status == 503, "{refusal:?}");
    }
}
