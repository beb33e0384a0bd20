//! Who is charged for which execution: scripted histories and what must come of them.

#![allow(
    clippy::unwrap_used,
    reason = "a script that does not fit its own rules is a wrong test"
)]

mod common;

use std::collections::HashMap;

use common::Scene;
use paceline_journal::{
    Attribution, Execution, Load, RequestId, StatementEnding, Totals, TraceParent,
};

/// What a load must have been charged with: exact executions and their milliseconds, then shared.
type Charged = (char, u64, f64, f64, f64);

/// Plays a script on a new journal, and returns it with the request id of each load.
///
/// Capitals are loads, small letters executions: `A(` opens, `A)` finishes, `A!` drops; `x[` begins
/// untagged, `x[A` with A's trace id, `x[?` with an unknown one; `x]` ends, `x!` is lost; `+5` lets
/// 5 ms pass.
fn play(script: &str) -> (Scene, HashMap<char, RequestId>) {
    let mut scene = Scene::new();
    let shape = scene.select("jobs");
    let mut loads: HashMap<char, Load> = HashMap::new();
    let mut traces: HashMap<char, TraceParent> = HashMap::new();
    let mut executions: HashMap<char, Execution> = HashMap::new();
    traces.insert(
        '?',
        TraceParent::parse(&format!("00-{:032x}-{:016x}-01", 7, 7)).unwrap(),
    );
    for word in script.split_whitespace() {
        let mut letters = word.chars();
        let name = letters.next().unwrap();
        match (name, letters.next().unwrap()) {
            ('+', _) => scene.wait(word[1..].parse().unwrap()),
            ('A'..='Z', '(') => {
                let load = scene.open("GET", &format!("/{name}"));
                traces.insert(name, load.traceparent());
                assert!(loads.insert(name, load).is_none());
            }
            ('A'..='Z', ')') => scene.finish(loads.remove(&name).unwrap(), 200),
            ('A'..='Z', '!') => drop(loads.remove(&name).unwrap()),
            (_, '[') => {
                let trace = letters.next().map(|load| traces[&load]);
                let execution = scene.begin(&shape, trace, u64::from(name));
                assert!(executions.insert(name, execution).is_none());
            }
            (_, ']') => scene.end(executions.remove(&name).unwrap()),
            (_, '!') => drop(executions.remove(&name).unwrap()),
            _ => panic!("What is {word}?"),
        }
    }
    assert!(
        loads.is_empty() && executions.is_empty(),
        "{script} leaves something open"
    );
    let ids = traces
        .into_iter()
        .map(|(name, trace)| (name, trace.trace_id.into()));
    (scene, ids.collect())
}

fn check(script: &str, expected: &[Charged]) {
    let (scene, ids) = play(script);
    for (name, exact, exact_ms, shared, shared_ms) in expected {
        let record = scene.journal.request(&ids[name]).unwrap();
        let summary = &record.summary;
        let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        let found = [
            summary.statements as f64,
            millis(summary.database_time_exact),
            summary.statements_shared,
            millis(summary.database_time - summary.database_time_exact),
        ];
        let wanted = [*exact as f64, *exact_ms, *shared, *shared_ms];
        let close = found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| (found - wanted).abs() < 1e-4);
        assert!(
            close,
            "{script}: {name} was charged {found:?}, not {wanted:?}"
        );
        // The route, on which nothing else happened, says the same.
        let routes = scene.journal.routes();
        let route = routes
            .iter()
            .find(|route| route.route == summary.route)
            .unwrap();
        assert_eq!(route.database_time, summary.database_time, "{script}");
        assert_eq!(route.statements, summary.statements, "{script}");
    }
}

#[test]
fn executions_are_charged_by_the_rule() {
    let rows: &[(&str, &[Charged])] = &[
        // Tagged: exactly, whoever else is open.
        ("A( +1 x[A +5 x] +1 A)", &[('A', 1, 5., 0., 0.)]),
        (
            "A( B( x[A +5 x] A) B)",
            &[('A', 1, 5., 0., 0.), ('B', 0, 0., 0., 0.)],
        ),
        // The same trace id again, and on two connections at a time.
        ("A( x[A +1 x] y[A +2 y] A)", &[('A', 2, 3., 0., 0.)]),
        ("A( x[A y[A +4 x] +1 y] A)", &[('A', 2, 9., 0., 0.)]),
        // Untagged and alone: exactly, too, also side by side.
        ("A( x[ +5 x] A)", &[('A', 1, 5., 0., 0.)]),
        ("A( x[ y[ +4 x] y] A)", &[('A', 2, 8., 0., 0.)]),
        (
            "A( x[ +1 x] A) B( y[ +2 y] B)",
            &[('A', 1, 1., 0., 0.), ('B', 1, 2., 0., 0.)],
        ),
        // Overlap: shared equally among those open at each moment.
        (
            "A( B( x[ +6 x] A) B)",
            &[('A', 0, 0., 0.5, 3.), ('B', 0, 0., 0.5, 3.)],
        ),
        (
            "A( x[ +4 B( +4 x] A) B)",
            &[('A', 0, 0., 1., 6.), ('B', 0, 0., 0., 2.)],
        ),
        (
            "A( x[ +2 B( +2 B) +2 x] A)",
            &[('A', 0, 0., 1., 5.), ('B', 0, 0., 0., 1.)],
        ),
        (
            "A( B( x[ +4 A) +4 x] B)",
            &[('A', 0, 0., 0.5, 2.), ('B', 0, 0., 0.5, 6.)],
        ),
        (
            "A( x[ +4 B( +4 A) +4 x] B)",
            &[('A', 0, 0., 1., 6.), ('B', 0, 0., 0., 6.)],
        ),
        (
            "A( B( x[ y[ +4 x] y] A) B)",
            &[('A', 0, 0., 1., 4.), ('B', 0, 0., 1., 4.)],
        ),
        // A tagged one takes nothing from the others' untagged one.
        (
            "A( B( x[A y[ +4 x] y] A) B)",
            &[('A', 1, 4., 0.5, 2.), ('B', 0, 0., 0.5, 2.)],
        ),
        // Begun before any load was open: nobody's.
        ("x[ +2 A( +2 x] A)", &[('A', 0, 0., 0., 0.)]),
        // Unknown and closed trace ids are as good as none.
        ("A( x[? +3 x] A)", &[('A', 1, 3., 0., 0.)]),
        (
            "A( A) B( x[A +3 x] B)",
            &[('A', 0, 0., 0., 0.), ('B', 1, 3., 0., 0.)],
        ),
        ("A( A) x[A +3 x]", &[('A', 0, 0., 0., 0.)]),
        // Late: charged up to the end of the load, and not a moment longer.
        ("A( x[A +3 A) +4 x]", &[('A', 1, 3., 0., 0.)]),
        ("A( x[ +3 A) +4 x]", &[('A', 1, 3., 0., 0.)]),
        (
            "A( x[ +3 A) B( +4 x] B)",
            &[('A', 1, 3., 0., 0.), ('B', 0, 0., 0., 4.)],
        ),
        // Lost: it counts, its time is unknown.
        ("A( x[A +3 x! A)", &[('A', 1, 0., 0., 0.)]),
        ("A( x[ +3 x! A)", &[('A', 1, 0., 0., 0.)]),
        // Aborted: what was charged stays.
        ("A( x[A +3 x] A!", &[('A', 1, 3., 0., 0.)]),
        ("A( x[A +3 A! x]", &[('A', 1, 0., 0., 0.)]),
    ];
    for (script, expected) in rows {
        check(script, expected);
    }
}

#[test]
fn totals_say_how_each_execution_was_charged() {
    // Tagged, exclusive, overlapping, late, unknown trace, nobody's.
    let rows = [
        ("A( x[A x] A)", [1, 0, 0, 0, 0]),
        ("A( x[ x] A)", [0, 1, 0, 0, 0]),
        ("A( B( x[ x] B) A)", [0, 0, 1, 0, 0]),
        ("A( x[ B( x] B) A)", [0, 0, 1, 0, 0]),
        ("A( x[A A) x]", [0, 0, 0, 1, 0]),
        ("A( x[ A) x]", [0, 0, 0, 1, 0]),
        ("A( x[? x] A)", [0, 1, 0, 0, 1]),
        ("A( A) x[A x]", [0, 0, 0, 0, 1]),
        ("x[ x]", [0, 0, 0, 0, 0]),
        ("x[ A( x] A)", [0, 0, 0, 0, 0]),
        ("A( x[A x! A)", [1, 0, 0, 0, 0]),
    ];
    for (script, expected) in rows {
        let totals = play(script).0.journal.totals();
        let Totals {
            executions_tagged,
            executions_exclusive,
            executions_overlapping,
            ..
        } = totals;
        let charged = [
            executions_tagged,
            executions_exclusive,
            executions_overlapping,
        ];
        let rest = [totals.late, totals.unknown_traces];
        assert_eq!([&charged[..], &rest[..]].concat(), expected, "{script}");
        assert_eq!(
            totals.executions, 1,
            "{script}: the shape counts it in any case"
        );
        assert_eq!(totals.loads_open, 0, "{script}");
    }
}

#[test]
fn a_late_finish_counts_in_full_for_the_shape() {
    let (scene, _) = play("A( x[A +3 A) +4 x]");
    let shapes = scene.journal.shapes();
    assert_eq!(shapes[0].time.sum().as_millis(), 7);
    assert_eq!((shapes[0].executions, shapes[0].rows), (1, 1));
}

#[test]
fn a_waterfall_shows_how_each_statement_came_to_be_in_it() {
    use Attribution::{Exclusive, Shared, Tagged};
    use StatementEnding::{Done, Lost, Unfinished};
    type Row = (u64, Attribution, StatementEnding, Option<u128>);
    let rows: &[(&str, char, &[Row])] = &[
        ("A( +1 x[A +5 x] A)", 'A', &[(1, Tagged, Done, Some(5))]),
        ("A( x[ +5 x] A)", 'A', &[(0, Exclusive, Done, Some(5))]),
        // Both see the overlapping one, and each once.
        (
            "A( x[ +4 B( +4 x] A) B)",
            'A',
            &[(0, Shared, Done, Some(8))],
        ),
        (
            "A( B( +2 x[ +4 x] A) B)",
            'A',
            &[(2, Shared, Done, Some(4))],
        ),
        (
            "A( B( +2 x[ +4 x] A) B)",
            'B',
            &[(2, Shared, Done, Some(4))],
        ),
        // B came later, so it cannot have caused x.
        ("A( x[ +4 B( +4 x] A) B)", 'B', &[]),
        // In the order in which they began.
        (
            "A( B( x[ +2 y[A +2 x] y] A) B)",
            'A',
            &[(0, Shared, Done, Some(4)), (2, Tagged, Done, Some(2))],
        ),
        (
            "A( x[A +3 A) +4 x]",
            'A',
            &[(0, Tagged, Unfinished, Some(3))],
        ),
        (
            "A( x[ B( +3 A) +4 x] B)",
            'A',
            &[(0, Shared, Unfinished, Some(3))],
        ),
        ("A( x[A +3 x! A)", 'A', &[(0, Tagged, Lost, None)]),
    ];
    for (script, load, expected) in rows {
        let (scene, ids) = play(script);
        let record = scene.journal.request(&ids[load]).unwrap();
        let found: Vec<_> = record
            .statements
            .iter()
            .map(|statement| {
                let duration = statement.duration.map(|duration| duration.as_millis());
                let offset = statement.offset.as_millis() as u64;
                (offset, statement.attribution, statement.ending, duration)
            })
            .collect();
        assert_eq!(found, *expected, "{script}: {load}");
    }
}

#[test]
fn the_whole_database_time_of_overlaps_is_shared_out() {
    // However loads come and go, what was shared adds up to what ran while loads were open.
    let (scene, _) = play("A( B( x[ +3 C( +2 A) +7 y[ +1 D( +5 x] B) +2 C) +3 y] D)");
    let routes = scene.journal.routes();
    let shared: f64 = routes
        .iter()
        .map(|route| route.database_time.as_secs_f64() * 1e3)
        .sum();
    // x ran 18 ms, y 11 ms.
    assert!((shared - 29.0).abs() < 1e-4, "{shared}");
    let executions: f64 = routes.iter().map(|route| route.statements_shared).sum();
    assert!((executions - 2.0).abs() < 1e-6, "{executions}");
}
