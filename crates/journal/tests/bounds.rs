//! Nothing grows without limit, whatever peers send.

mod common;

use std::time::Duration;

use common::Scene;
use paceline_journal::{Config, Journal, RouteSnapshot};

fn names(journal: &Journal) -> Vec<String> {
    journal
        .routes()
        .iter()
        .map(|route| route.route.to_string())
        .collect()
}

fn requests(journal: &Journal) -> u64 {
    journal.routes().iter().map(|route| route.requests).sum()
}

/// A word of letters only, that no inference takes for a value.
fn word(mut number: u32) -> String {
    let mut word = String::new();
    for _ in 0..6 {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    word
}

#[test]
fn a_million_random_paths_stay_within_memory_and_displace_nobody() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        let load = scene.open("GET", "/jobs/1");
        scene.finish(load, 200);
    }
    // Each path is new; what answers them is careless enough to say 200.
    for number in 0..1_000_000 {
        let load = scene.open(
            "GET",
            &format!("/{}/{}", word(number), word(number ^ 0x5555)),
        );
        scene.finish(load, 200);
        if number % 1_000 == 0 {
            scene.wait(1);
        }
    }
    let routes = scene.journal.routes();
    assert!(routes.len() <= 513, "{}", routes.len());
    let heap: usize = routes.iter().map(heap_bytes).sum();
    assert!(heap <= 1 << 20, "{heap} bytes");
    assert_eq!(
        requests(&scene.journal),
        1_000_003,
        "none is lost, most are in `other`"
    );
    assert!(routes.iter().any(|route| &*route.route == "GET /jobs/{id}"));
    assert_eq!(scene.journal.recent().len(), 1024);

    // A route that comes into use during the flood is established between two waves of it.
    for _ in 0..3 {
        let load = scene.open("GET", "/companies/7");
        scene.finish(load, 200);
    }
    for number in 0..10_000 {
        let load = scene.open("GET", &format!("/again/{}", word(number)));
        scene.finish(load, 200);
    }
    assert!(names(&scene.journal).contains(&"GET /companies/{id}".to_owned()));
}

fn heap_bytes(route: &RouteSnapshot) -> usize {
    route.latency.heap_bytes() + route.first_byte.heap_bytes() + route.upstream.heap_bytes()
}

#[test]
fn slots_taken_by_persistence_are_free_again_once_idle() {
    let mut scene = Scene::with(Config {
        routes_max: 8,
        ..Config::default()
    });
    for number in 0..8 {
        for _ in 0..5 {
            let load = scene.open("GET", &format!("/{}", word(number)));
            scene.finish(load, 200);
        }
    }
    let ask = |scene: &Scene| {
        let load = scene.open("GET", "/jobs");
        scene.finish(load, 200);
        names(&scene.journal).contains(&"GET /jobs".to_owned())
    };
    assert!(!ask(&scene), "all slots are taken by established routes");
    scene.wait(14 * 60 * 1_000);
    assert!(!ask(&scene), "they are not idle yet");
    scene.wait(61 * 1_000);
    assert!(ask(&scene), "idle routes give way");
    assert_eq!(requests(&scene.journal), 43);
    assert_eq!(scene.journal.totals().requests_other, 42);
}

#[test]
fn configured_routes_always_find_a_slot() {
    let templates = ["/jobs/{id}", "/skills"].map(|template| template.parse().unwrap());
    let config = Config {
        routes_max: 4,
        route_templates: templates.to_vec(),
        ..Config::default()
    };
    let scene = Scene::with(config);
    for number in 0..4 {
        for _ in 0..5 {
            let load = scene.open("GET", &format!("/{}", word(number)));
            scene.finish(load, 200);
        }
    }
    // Also by an answer that would not make a route otherwise.
    let load = scene.open("GET", "/jobs/none");
    scene.finish(load, 404);
    assert!(names(&scene.journal).contains(&"GET /jobs/{id}".to_owned()));
    assert_eq!(scene.journal.routes().len(), 5, "four slots and `other`");
}

#[test]
fn not_found_makes_no_route_but_counts_on_one_that_is_known() {
    let scene = Scene::new();
    for (path, status) in [
        ("/wp-admin", 404),
        ("/jobs/1", 200),
        ("/jobs/2", 404),
        ("/x", 405),
    ] {
        let load = scene.open("GET", path);
        scene.finish(load, status);
    }
    assert_eq!(names(&scene.journal), ["GET /jobs/{id}", "other"]);
    assert_eq!(scene.journal.routes()[0].status_classes, [0, 0, 1, 0, 1, 0]);
}

#[test]
fn random_methods_are_one_method() {
    let scene = Scene::new();
    for number in 0..1_000 {
        let load = scene.open(&word(number), "/jobs?page=2");
        scene.finish(load, 200);
    }
    assert_eq!(names(&scene.journal), ["_OTHER /jobs"]);
}

#[test]
fn random_shapes_stay_within_their_slots() {
    let mut scene = Scene::with(Config {
        shapes_max: 64,
        ..Config::default()
    });
    let (mine, others) = (scene.select("jobs"), 5_000);
    for number in 0..others {
        let shape = scene.select(&word(number));
        let execution = scene.begin(&shape, None, 0);
        scene.wait(1);
        scene.end(execution);
        if number % 20 == 0 {
            let execution = scene.begin(&mine, None, 0);
            scene.end(execution);
        }
    }
    let shapes = scene.journal.shapes();
    assert_eq!(shapes.len(), 65);
    let kept = shapes
        .iter()
        .find(|known| known.shape.id == mine.id)
        .map(|known| known.executions);
    assert!(kept.is_some_and(|executions| executions == 250), "{kept:?}");
    let totals = scene.journal.totals();
    assert_eq!(totals.executions, u64::from(others) + 250);
    assert!(totals.executions_other >= u64::from(others) - 64);
    assert!(totals.shapes_evicted >= u64::from(others) - 64);
    // Their time is not lost either.
    let time: Duration = shapes.iter().map(|known| known.time.sum()).sum();
    assert_eq!(time, Duration::from_millis(u64::from(others)));
}

#[test]
fn one_request_with_many_statements_is_counted_whole_and_listed_in_part() {
    let config = Config {
        statements_per_request_max: 10,
        ..Config::default()
    };
    let mut scene = Scene::with(config);
    let shape = scene.select("jobs");
    let load = scene.open("GET", "/jobs");
    let id = load.request_id();
    for number in 0..1_000 {
        scene.run(&load, &shape, number);
    }
    scene.finish(load, 200);
    let record = scene.journal.request(&id).unwrap();
    assert_eq!(
        (record.statements.len(), record.statements_unlisted),
        (10, 990)
    );
    assert_eq!(record.summary.statements, 1_000);
    assert_eq!(record.summary.database_time, Duration::from_secs(1));
    let repetition = &scene.journal.repetitions()[0];
    assert_eq!(
        (
            repetition.varied.executions_max,
            repetition.varied.distinct_max
        ),
        (1_000, 64)
    );
    assert_eq!(scene.journal.totals().statements_unlisted, 990);
}

#[test]
fn one_request_with_many_shapes_compares_a_limited_number_of_them() {
    let mut scene = Scene::new();
    let load = scene.open("GET", "/jobs");
    for number in 0..100 {
        let shape = scene.select(&word(number));
        scene.run(&load, &shape, 1);
    }
    scene.finish(load, 200);
    assert_eq!(scene.journal.repetitions().len(), 64);
    assert_eq!(scene.journal.totals().statements_uncompared, 36);
    assert_eq!(scene.journal.routes()[0].statements, 100);
}

#[test]
fn the_ring_is_bounded_by_requests_and_by_statements() {
    let config = Config {
        recent_requests_max: 100,
        recent_statements_max: 50,
        ..Config::default()
    };
    let mut scene = Scene::with(config);
    let shape = scene.select("jobs");
    for _ in 0..300 {
        let load = scene.open("GET", "/");
        scene.finish(load, 200);
    }
    assert_eq!(scene.journal.recent().len(), 100);
    for _ in 0..30 {
        let load = scene.open("GET", "/jobs");
        for _ in 0..4 {
            scene.run(&load, &shape, 1);
        }
        scene.finish(load, 200);
    }
    assert_eq!(
        scene.journal.recent().len(),
        12,
        "twelve requests of four statements"
    );
    // A request with more statements than there is room for does not stay.
    let load = scene.open("GET", "/jobs");
    let id = load.request_id();
    for _ in 0..51 {
        scene.run(&load, &shape, 1);
    }
    scene.finish(load, 200);
    assert!(scene.journal.request(&id).is_none());
}

#[test]
fn pairs_are_bounded_and_free_again_with_their_route() {
    let config = Config {
        routes_max: 2,
        pairs_max: 3,
        ..Config::default()
    };
    let mut scene = Scene::with(config);
    let shapes: Vec<_> = (0..4).map(|number| scene.select(&word(number))).collect();
    let request = |scene: &mut Scene, path: &str| {
        let load = scene.open("GET", path);
        for shape in &shapes {
            scene.run(&load, shape, 1);
        }
        scene.finish(load, 200);
    };
    request(&mut scene, "/a");
    assert_eq!(scene.journal.repetitions().len(), 3);
    assert_eq!(scene.journal.totals().pairs_dropped, 1);
    request(&mut scene, "/b");
    assert_eq!(scene.journal.totals().pairs_dropped, 5);
    // The third route displaces the first, which was on probation, and gets its pairs.
    request(&mut scene, "/c");
    let routes: Vec<_> = scene
        .journal
        .repetitions()
        .iter()
        .map(|pair| pair.route.to_string())
        .collect();
    assert_eq!(routes, ["GET /c", "GET /c", "GET /c"]);
}

#[test]
fn loads_beyond_the_limit_are_measured_but_not_charged() {
    let scene = Scene::with(Config {
        open_loads_max: 2,
        ..Config::default()
    });
    let shape = scene.select("jobs");
    let (one, two, three) = (
        scene.open("GET", "/a"),
        scene.open("GET", "/b"),
        scene.open("GET", "/c"),
    );
    let execution = scene.begin(&shape, Some(three.traceparent()), 0);
    scene.end(execution);
    [one, two, three]
        .into_iter()
        .for_each(|load| scene.finish(load, 200));
    let totals = scene.journal.totals();
    assert_eq!((totals.loads_unchargeable, totals.unknown_traces), (1, 1));
    assert_eq!(requests(&scene.journal), 3);
    // There is room again.
    let load = scene.open("GET", "/d");
    let execution = scene.begin(&shape, Some(load.traceparent()), 0);
    assert!(execution.is_tagged());
    scene.end(execution);
    scene.finish(load, 200);
}

#[test]
fn overlapping_statements_are_kept_up_to_a_limit() {
    let scene = Scene::with(Config {
        overlaps_max: 5,
        ..Config::default()
    });
    let shape = scene.select("jobs");
    let (one, two) = (scene.open("GET", "/a"), scene.open("GET", "/b"));
    let id = one.request_id();
    for number in 0..20 {
        let execution = scene.begin(&shape, None, number);
        scene.end(execution);
    }
    [one, two]
        .into_iter()
        .for_each(|load| scene.finish(load, 200));
    let record = scene.journal.request(&id).unwrap();
    let parameters: Vec<_> = record
        .statements
        .iter()
        .map(|known| known.parameters)
        .collect();
    assert_eq!(parameters, [15, 16, 17, 18, 19]);
    assert!(
        (record.summary.statements_shared - 10.0).abs() < 1e-6,
        "all are counted"
    );
}

#[test]
fn limits_of_zero_keep_nothing_and_break_nothing() {
    let config = Config {
        routes_max: 0,
        shapes_max: 0,
        pairs_max: 0,
        recent_requests_max: 0,
        recent_statements_max: 0,
        statements_per_request_max: 0,
        overlaps_max: 0,
        open_loads_max: 0,
        repeat_min: 0,
        ..Config::default()
    };
    let mut scene = Scene::with(config);
    let shape = scene.select("jobs");
    let load = scene.open("GET", "/jobs");
    scene.run(&load, &shape, 1);
    scene.finish(load, 200);
    assert_eq!(names(&scene.journal), ["other"]);
    assert_eq!(scene.journal.shapes().len(), 1);
    assert!(scene.journal.recent().is_empty() && scene.journal.repetitions().is_empty());
}
