#!/usr/bin/env bash
# Drives pgbench through the proxy. Usage: drive_pgbench.sh HOST PORT DATABASE SERVER_CONNECTIONS
. "$(dirname "$0")/common.sh"

# A thread for each client: pgbench prepares its statements while it waits for nothing else, so that of two clients on one
# thread the first would sit in its transaction while the second waits for a server connection, for ever.
bench() {
    pgbench -n -c 8 -j 8 -t 50 "$@" >"$folder/out" 2>&1 || { cat "$folder/out"; return 1; }
    grep -q 'transactions actually processed: 400/400' "$folder/out" || { cat "$folder/out"; return 1; }
    ! grep -qE 'failed transactions: [1-9]|aborted' "$folder/out" || { cat "$folder/out"; return 1; }
}
pipelined() {
    printf '\\set aid random(1, 100000)\n\\startpipeline\n%s\\endpipeline\n' \
        "$(for _ in $(seq 10); do echo 'SELECT abalance FROM pgbench_accounts WHERE aid = :aid;'; done)
" >"$folder/pipeline.sql"
}

check_connect() { pgbench -i -s 1 -q; bench -S -C; }
check_simple() { bench -M simple; }
check_parameters() { bench -M extended; }
check_prepared() { bench -M prepared; }
check_transactions() {
    same "$(psql -XAtc 'SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history), count(*) FROM pgbench_history')" "t|t|1200"
}
check_pipelining() { pipelined; for mode in extended prepared; do bench -M $mode -f "$folder/pipeline.sql"; done; }
check_concurrency() {
    for mode in simple prepared; do
        pgbench -S -M $mode -n -c 50 -j 2 -T 2 >"$folder/out" 2>&1 || { cat "$folder/out"; return 1; }
        ! grep -qE 'failed transactions: [1-9]|aborted' "$folder/out"
    done
}

program pgbench "$(pgbench --version | grep -o '[0-9.]*' | head -n 1)" $checks
