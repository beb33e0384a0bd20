//! The statements of the scripts. A client writes to its own table only, so that nobody waits for a lock, and nothing here gives
//! what depends on time, on process ids or on the order of transactions.

use fastrand::Rng;

/// What makes a new server ready.
pub(crate) const SETUP: &str = "
    CREATE SCHEMA s1;
    CREATE TABLE here AS SELECT 'public' AS word;
    CREATE TABLE s1.here AS SELECT 's1' AS word;
    CREATE TABLE t0 (n int, note text); CREATE TABLE t1 (n int, note text); CREATE TABLE t2 (n int, note text);
    CREATE ROLE other;
    GRANT USAGE ON SCHEMA s1 TO other; GRANT ALL ON t0, t1, t2, here, s1.here TO other;
";

/// What makes it ready for the next script, once the sessions of the last one have ended.
pub(crate) const CLEANUP: &str = "
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid();
    DELETE FROM t0; DELETE FROM t1; DELETE FROM t2;
";

/// A statement, and how many numbers it takes.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) sql: String,
    parameters: usize,
}

impl Text {
    /// Values for it; sometimes NULL, something else, or too few.
    pub(crate) fn parameters(&self, random: &mut Rng) -> Vec<Option<String>> {
        let count = if random.u8(0..30) == 0 {
            self.parameters + 1
        } else {
            self.parameters
        };
        let value = |random: &mut Rng| match random.u8(0..12) {
            0 => None,
            1 => Some("x".to_owned()),
            _ => Some(random.i32(0..8).to_string()),
        };
        (0..count).map(|_| value(random)).collect()
    }

    /// The text with values in it.
    pub(crate) fn without_parameters(&self, random: &mut Rng) -> String {
        let mut sql = self.sql.clone();
        for number in 1..=self.parameters {
            sql = sql.replace(&format!("${number}"), &random.i32(0..8).to_string());
        }
        sql
    }
}

/// Any of them. What leaves something behind that only its own server connection has is given only where it may.
pub(crate) fn any(random: &mut Rng, client: usize, may_pin: bool, is_extended: bool) -> Text {
    let sql = match random.u8(0..100) {
        0..30 => pick(random, &QUERIES),
        30..48 => pick(random, &TRANSACTIONS),
        48..66 => return setting(random),
        66..76 => pick(random, &READINGS),
        76..84 => pick(random, &CURSORS),
        84..88 => pick(random, &ODDITIES),
        88..92 => pick(random, &ERRORS),
        92..97 if may_pin => pick(random, &PINNING),
        97.. if !is_extended && may_pin => pick(random, &PREPARED),
        _ => pick(random, &QUERIES),
    };
    let sql = sql.replace("MINE", &client.to_string());
    let parameters = (1..=3)
        .take_while(|number| sql.contains(&format!("${number}")))
        .count();
    Text { sql, parameters }
}

fn pick<'t>(random: &mut Rng, texts: &[&'t str]) -> &'t str {
    texts[random.usize(0..texts.len())]
}

fn setting(random: &mut Rng) -> Text {
    const VALUES: [(&str, &[&str]); 9] = [
        ("work_mem", &["'1MB'", "'2MB'", "DEFAULT"]),
        ("application_name", &["'one'", "'two'", "''", "DEFAULT"]),
        (
            "search_path",
            &["s1, public", "public", "DEFAULT", "\"$user\", s1"],
        ),
        ("DateStyle", &["'German'", "'ISO, DMY'", "'SQL'", "DEFAULT"]),
        ("TimeZone", &["'Asia/Tokyo'", "'UTC'", "DEFAULT"]),
        ("s.x", &["'one'", "'two'"]),
        ("statement_timeout", &["'1h'", "0", "DEFAULT"]),
        ("extra_float_digits", &["0", "3", "DEFAULT"]),
        ("work_mem", &["'nonsense'"]),
    ];
    let (name, values) = VALUES[random.usize(0..VALUES.len())];
    let value = pick(random, values);
    let sql = match random.u8(0..10) {
        0..4 => format!("SET {name} = {value}"),
        4..6 => format!("SET LOCAL {name} = {value}"),
        6 => format!("RESET {name}"),
        7 => pick(
            random,
            &["RESET ALL", "SET ROLE other", "RESET ROLE", "SET ROLE none"],
        )
        .to_owned(),
        _ if value.starts_with('\'') => {
            let is_local = random.bool();
            format!("SELECT set_config('{name}', {value}, {is_local})")
        }
        _ => format!("SET SESSION {name} TO {value}"),
    };
    Text { sql, parameters: 0 }
}

const QUERIES: [&str; 12] = [
    "SELECT 1",
    "SELECT $1::int + 1 AS more",
    "SELECT g, repeat('x', g) FROM generate_series(1, $1::int) g",
    "SELECT 10 / $1::int",
    "SELECT $1::int, $2::int, $3::text",
    "INSERT INTO tMINE VALUES ($1::int, 'new')",
    "INSERT INTO tMINE VALUES (1, 'a'), (2, 'b') RETURNING n, note",
    "UPDATE tMINE SET n = n + 1 WHERE n < $1::int",
    "DELETE FROM tMINE WHERE n = $1::int",
    "SELECT count(*), sum(n) FROM tMINE",
    "SELECT n, note FROM tMINE ORDER BY 1, 2",
    "/* told */ SELECT 'quoted ''text''', E'es\\'caped', $$dollar; quoted$$ -- comment",
];

const TRANSACTIONS: [&str; 14] = [
    "BEGIN",
    "BEGIN",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION READ ONLY",
    "COMMIT",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ROLLBACK",
    "COMMIT AND CHAIN",
    "SAVEPOINT here",
    "ROLLBACK TO here",
    "RELEASE here",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
];

/// They show what a session has. (A setting of one's own leaves an empty value where there was none, at any server, when it is reset.)
const READINGS: [&str; 9] = [
    "SHOW work_mem",
    "SHOW application_name",
    "SHOW search_path",
    "SELECT nullif(current_setting('s.x', true), ''), current_setting('TimeZone')",
    "SELECT word FROM here",
    "SELECT DATE '2024-02-29', 0.1::float8 / 3, TIMESTAMPTZ '2024-02-29 12:00+00'",
    "SELECT current_user, session_user",
    "SHOW transaction_isolation",
    "SELECT current_setting('statement_timeout'), current_setting('extra_float_digits')",
];

const CURSORS: [&str; 6] = [
    "DECLARE walk CURSOR FOR SELECT generate_series(1, 5)",
    "FETCH 2 FROM walk",
    "MOVE 1 FROM walk",
    "CLOSE walk",
    "FETCH ALL FROM walk",
    "CLOSE ALL",
];

const ODDITIES: [&str; 7] = [
    "",
    "-- nothing",
    "DO $$ BEGIN RAISE NOTICE 'hello'; END $$",
    "DISCARD PLANS",
    "VACUUM",
    "EXPLAIN (COSTS OFF) SELECT 1",
    "VALUES (1), (2), (3)",
];

const ERRORS: [&str; 5] = [
    "SELEKT 1",
    "SELECT * FROM nowhere",
    "SELECT 1 / 0",
    "DO $$ BEGIN RAISE EXCEPTION 'told you' USING ERRCODE = 'P0042', HINT = 'look'; END $$",
    "INSERT INTO tMINE VALUES ('no number', 'x')",
];

const PINNING: [&str; 10] = [
    "CREATE TEMPORARY TABLE mine (n int)",
    "INSERT INTO mine VALUES ($1::int)",
    "SELECT * FROM mine ORDER BY n",
    "DROP TABLE mine",
    "SELECT pg_advisory_lock(MINE)",
    "SELECT pg_advisory_unlock(MINE)",
    "SELECT pg_advisory_unlock_all()",
    "DECLARE held CURSOR WITH HOLD FOR SELECT generate_series(1, 5)",
    "FETCH 2 FROM held",
    "DISCARD ALL",
];

// Names of the protocol are not known to EXECUTE: these are all of SQL's own, but for the one that drivers evict with.
const PREPARED: [&str; 5] = [
    "PREPARE q (int) AS SELECT $1 * 3",
    "EXECUTE q (5)",
    "DEALLOCATE q",
    "DEALLOCATE ALL",
    "DEALLOCATE a",
];
