//! What understanding a text takes in memory, whatever the text: read from the process, for the parser is C.
#![cfg(target_os = "linux")]

use paceline_sql::{Kind, Limits, Statements};

const PEAK_MIB_MAX: u64 = 100;
const LONG: usize = 16 << 20;
const AT_BOUND: usize = 32_000;

/// The most that this process has had so far.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .map_or(u64::MAX, |kib| kib / 1024)
}

#[test]
fn no_text_takes_more_than_a_bounded_amount() {
    // Before, again and again up to so many bytes, behind.
    let rows = [
        ("INSERT INTO t VALUES ", "(1),", LONG, "(1)", Kind::Insert),
        (
            "SELECT a FROM t WHERE b IN (",
            "1,",
            LONG,
            "1)",
            Kind::Select,
        ),
        ("SELECT '", "x", LONG, "'", Kind::Select),
        ("SELECT ", "a,", LONG, "1", Kind::Unknown),
        ("SELECT ", "1+", LONG, "1", Kind::Unknown),
        ("", "SELECT 1;", LONG, "", Kind::Unknown),
        ("", ";", LONG, "", Kind::Unknown),
        ("", "(", LONG, "", Kind::Unknown),
        ("", ",(1", LONG, "", Kind::Unknown),
        ("", ",1", LONG, "", Kind::Unknown),
        ("", "'", LONG, "", Kind::Unknown),
        // Right at the bound.
        ("SELECT ", "a,", AT_BOUND, "1", Kind::Select),
        ("", "SELECT 1;", 98_000, "", Kind::Several),
        (
            "INSERT INTO t VALUES ",
            "(a),",
            AT_BOUND,
            "(1)",
            Kind::Insert,
        ),
    ];
    let statements = Statements::new(Limits::default());
    for (before, part, bytes, behind, kind) in rows {
        let text = format!("{before}{}{behind}", part.repeat(bytes / part.len()));
        let shape = statements.learn(&text).shape;
        let (peak, begin) = (peak_mib(), &text[..text.len().min(30)]);
        println!("{peak} MiB after {begin}");
        assert_eq!(shape.kind, kind, "{begin}");
        assert!(peak <= PEAK_MIB_MAX, "{peak} MiB after {begin}");
    }
}
