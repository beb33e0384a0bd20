//! What understanding a statement costs, in nanoseconds each: `cargo bench -p paceline-sql`.
//!
//! Medians over many rounds, with the fastest and the slowest tenth; no peers, the bars are in the code below.

#![allow(clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use paceline_sql::{Limits, Statements, Understanding, batch_form, strip_comment};

const PGBENCH: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;";
const ORM: &str = "SELECT \"jobs\".\"id\", \"jobs\".\"title\", \"jobs\".\"created_at\", \"companies\".\"name\" AS company_name \
    FROM \"jobs\" INNER JOIN \"companies\" ON \"companies\".\"id\" = \"jobs\".\"company_id\" LEFT OUTER JOIN \"locations\" \
    ON \"locations\".\"id\" = \"jobs\".\"location_id\" WHERE \"jobs\".\"status\" = 'open' AND \"jobs\".\"salary\" >= 50000 \
    AND \"locations\".\"country\" IN ('DE', 'FR', 'NL') ORDER BY \"jobs\".\"created_at\" DESC LIMIT 20 OFFSET 40";
const TRACE: &str = "/*traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'*/";

/// Runs `work` in rounds of `count` and prints the median nanoseconds of one.
fn measure(name: &str, bar_ns: Option<f64>, count: u32, mut work: impl FnMut(u32)) {
    const ROUND: Duration = Duration::from_millis(400);
    let mut samples = Vec::new();
    let begin = Instant::now();
    let mut number = 0;
    while begin.elapsed() < ROUND || samples.len() < 20 {
        let start = Instant::now();
        for _ in 0..count {
            work(number);
            number = number.wrapping_add(1);
        }
        samples.push(start.elapsed().as_nanos() as f64 / f64::from(count));
    }
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples[(samples.len() as f64 * share) as usize];
    let verdict = match bar_ns {
        Some(bar) if at(0.5) <= bar => format!("  (bar {bar:.0}: kept)"),
        Some(bar) => format!("  (bar {bar:.0}: MISSED)"),
        None => String::new(),
    };
    println!(
        "{name:<44} {:>9.1} ns  [{:.1} … {:.1}]{verdict}",
        at(0.5),
        at(0.1),
        at(0.9)
    );
}

fn main() {
    let statements = Statements::new(Limits::default());
    for text in [PGBENCH, ORM] {
        // Once to learn it, twice for it to be kept as it stands.
        (0..3).for_each(|_| drop(statements.learn(text)));
    }
    let is_known = |text: &str| {
        matches!(
            statements.understand(black_box(text)),
            Understanding::Known(_)
        )
    };

    assert!(is_known(PGBENCH) && is_known(ORM));
    measure(
        "seen before, pgbench (56 bytes)",
        Some(100.0),
        1_000,
        |_| {
            black_box(is_known(PGBENCH));
        },
    );
    measure("seen before, ORM join (430 bytes)", None, 1_000, |_| {
        black_box(is_known(ORM));
    });

    let differing: Vec<String> = (0..65_536)
        .map(|number| PGBENCH.replace("12345", &(number * 7 + 100_000).to_string()))
        .collect();
    measure(
        "differs in literals, pgbench",
        Some(400.0),
        1_000,
        |number| {
            assert!(is_known(&differing[number as usize % differing.len()]));
        },
    );
    let differing: Vec<String> = (0..65_536)
        .map(|number| ORM.replace("50000", &(number * 7 + 100_000).to_string()))
        .collect();
    measure("differs in literals, ORM join", None, 1_000, |number| {
        assert!(is_known(&differing[number as usize % differing.len()]));
    });

    let fresh: Vec<String> = (0..100_000)
        .map(|number| PGBENCH.replace("aid", &format!("a{number}")))
        .collect();
    measure("new, understand says so", None, 100, |number| {
        black_box(is_known(&fresh[number as usize % fresh.len()]));
    });
    measure("new, learn: pgbench", None, 10, |number| {
        let table = Statements::new(Limits {
            entries_max: 16,
            ..Limits::default()
        });
        black_box(table.learn(&fresh[number as usize % fresh.len()]));
    });
    measure("an empty table (part of the line above)", None, 10, |_| {
        black_box(Statements::new(Limits {
            entries_max: 16,
            ..Limits::default()
        }));
    });
    let fresh: Vec<String> = (0..100_000)
        .map(|number| ORM.replace("salary", &format!("a{number}")))
        .collect();
    measure("new, learn: ORM join", None, 10, |number| {
        black_box(statements.learn(&fresh[number as usize % fresh.len()]));
    });

    measure("strip_comment, absent", Some(20.0), 1_000, |_| {
        black_box(strip_comment(black_box(PGBENCH)));
    });
    let tagged = format!("{PGBENCH} {TRACE}");
    measure("strip_comment, pgbench", None, 1_000, |_| {
        black_box(strip_comment(black_box(&tagged)));
    });
    let tagged = format!("{ORM} {TRACE}");
    measure("strip_comment, ORM join", None, 1_000, |_| {
        black_box(strip_comment(black_box(&tagged)));
    });
    measure("batch_form, ORM-like", None, 10, |_| {
        black_box(batch_form(black_box(
            "SELECT a.id, a.name FROM a JOIN b ON b.a_id = a.id WHERE b.c_id = $1",
        )));
    });

    let rows: Vec<String> = (0..10_000)
        .map(|number| format!("({number}, 'name {number}', NULL)"))
        .collect();
    let insert = format!("INSERT INTO t (a, b, c) VALUES {}", rows.join(", "));
    statements.learn(&insert);
    measure(
        &format!("10,000 rows of VALUES ({} KiB)", insert.len() / 1024),
        None,
        1,
        |_| {
            assert!(is_known(&insert));
        },
    );
}
