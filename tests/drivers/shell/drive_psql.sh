#!/usr/bin/env bash
# Drives psql through the proxy. Usage: drive_psql.sh HOST PORT DATABASE SERVER_CONNECTIONS
. "$(dirname "$0")/common.sh"

sql() { psql -X -A -t -q -v ON_ERROR_STOP=1 "$@"; }

check_connect() {
    same "$(PGAPPNAME=check sql -c 'SHOW application_name')" check
    same "$(PGOPTIONS='-c work_mem=7MB' sql -c 'SHOW work_mem')" 7MB
}
check_simple() {
    same "$(sql -c "SELECT 1; SELECT 'two'")" $'1\ntwo'
    sql -c 'CREATE TABLE notes (n int PRIMARY KEY, note text)' -c '\d notes' -c '\l' -c '\du' -c '\dt+' >"$folder/out"
    grep -q notes_pkey "$folder/out"
    grep -q '|notes|table|' "$folder/out"
}
check_prepared() {
    same "$(sql -c 'PREPARE p (int) AS SELECT $1 + 1' -c 'EXECUTE p (1)' -c 'EXECUTE p (2)' -c 'DEALLOCATE p')" $'2\n3'
}
check_types_text() { same "$(sql -c "SELECT 1.5, '\x00ff'::bytea, '{1,2}'::int[], 'grün'")" '1.5|\x00ff|{1,2}|grün'; }
check_nulls() { same "$(sql -P null=NOTHING -c 'SELECT NULL::int')" NOTHING; }
check_transactions() {
    sql -c 'CREATE TABLE ledger (n int)'
    sql -c BEGIN -c 'INSERT INTO ledger VALUES (1)' -c ROLLBACK -c BEGIN -c 'INSERT INTO ledger VALUES (2)' -c COMMIT
    sql -1 -c 'INSERT INTO ledger VALUES (3)'
    same "$(sql -c 'SELECT string_agg(n::text, $$,$$) FROM ledger')" 2,3
}
check_savepoints() {
    same "$(sql -v ON_ERROR_STOP=0 -v ON_ERROR_ROLLBACK=on -c BEGIN -c 'SELECT 1/0' -c 'SELECT 3' -c COMMIT 2>/dev/null)" 3
}
check_errors() {
    ! sql -c 'SELECT 1' -c 'SELECT * FROM nowhere' -c "SELECT 'not reached'" >"$folder/out" 2>&1
    grep -q 'LINE 1: SELECT \* FROM nowhere' "$folder/out"
    ! grep -q '^not reached' "$folder/out"
}
check_copy() {
    sql -c 'CREATE TABLE copied (n int, note text)'
    seq 1 10000 | sed 's/$/\tnote/' | sql -c '\copy copied FROM STDIN'
    same "$(sql -c '\copy copied TO STDOUT' | wc -l)" 10000
    ! echo 'no number' | sql -c '\copy copied (n) FROM STDIN' 2>/dev/null
    sql -c "\\copy copied TO '$folder/copied' (FORMAT binary)" -c 'TRUNCATE copied' -c "\\copy copied FROM '$folder/copied' (FORMAT binary)"
    same "$(sql -c 'SELECT count(*) FROM copied')" 10000
}
check_row_limit() { same "$(sql -v FETCH_COUNT=70 -c 'SELECT generate_series(1, 1000)' | wc -l)" 1000; }
check_concurrency() {
    sql -c 'CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)'
    for _ in $(seq 50); do sql -c BEGIN -c 'UPDATE counter SET n = n + 1' -c COMMIT & done
    wait
    same "$(sql -c 'SELECT n FROM counter')" 50
}
check_cancel() {
    # A shell of a script ignores the signal for what it starts in the background; this one does not.
    python3 - <<'PYTHON'
import signal, subprocess, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
psql = subprocess.Popen(["psql", "-X", "-c", "SELECT pg_sleep(30)"], stderr=subprocess.PIPE, text=True)
count = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'"
while subprocess.run(["psql", "-XAtc", count], capture_output=True, text=True).stdout.strip() != "1":
    time.sleep(0.02)
psql.send_signal(signal.SIGINT)
_, said = psql.communicate(timeout=20)
assert "canceling statement due to user request" in said, said
PYTHON
}
check_timeout() { ! PGOPTIONS='-c statement_timeout=200' sql -c 'SELECT pg_sleep(30)' 2>"$folder/out"; grep -q 'statement timeout' "$folder/out"; }
check_listen() {
    # psql shows what has come by the end of a command: this one gives it the time.
    sql -c 'LISTEN news' -c "NOTIFY news, 'one'" -c 'SELECT pg_sleep(1)' -c 'SELECT 1' >"$folder/out"
    grep -q 'Asynchronous notification "news" with payload "one"' "$folder/out"
}
check_settings() {
    same "$(sql -c "SET work_mem = '9MB'" -c 'SELECT 1' -c 'SHOW work_mem' | tail -n 1)" 9MB
    for _ in $(seq "$server_connections") ; do same "$(sql -c 'SHOW work_mem')" 4MB; done
}
check_large_value() { same "$(sql -c "SELECT length('$(printf 'x%.0s' $(seq 100000))')")" 100000; same "$(sql -c "SELECT repeat('x', 10485760)" | wc -c)" 10485761; }
check_reconnect() {
    sql -c 'SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE backend_type = $$client backend$$ AND pid <> pg_backend_pid()'
    same "$(sql -c 'SELECT 2')" 2
}

program psql "$(psql --version | grep -o '[0-9.]*' | head -n 1)" $checks
