# What the shell programs share: the command line, and how checks are run and reported (see ../python/common.py).
# PGHOST and its like are set from the command line; a check is a function `check_NAME` that fails at its first error.
export PGHOST=$1 PGPORT=$2 PGDATABASE=$3 PGUSER=postgres PGCONNECT_TIMEOUT=20
server_connections=$4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

program() {
    local name=$1 failed=0 check
    echo "driver $name $2"
    shift 2
    for check in "$@"; do
        if ! declare -F "check_$check" >/dev/null; then
            echo "skip $check the program has none"
        # A shell of its own, since -e means nothing within a condition.
        elif (set -euo pipefail; "check_$check") >"$folder/log" 2>&1 & wait $!; then
            echo "ok $check"
        else
            failed=1
            echo "FAIL $check $(tail -n 3 "$folder/log" | tr '\n' ' ')"
        fi
    done
    exit $failed
}

same() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }

checks=$(cat "$(dirname "${BASH_SOURCE[0]}")/../checks.txt")
