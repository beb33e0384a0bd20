"""Drives psycopg 3 through the proxy. Usage: psycopg_check.py HOST PORT DATABASE SERVER_CONNECTIONS

The pool behind the proxy has SERVER_CONNECTIONS connections; the checks use more clients than that. Each check prints its
name when it passed; the first that fails ends the program with a traceback.
"""

import sys
import threading
import time

import psycopg
from psycopg import errors, sql

HOST, PORT, DATABASE, SERVER_CONNECTIONS = sys.argv[1:5]
CLIENTS = int(SERVER_CONNECTIONS) * 3
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def connect(**options):
    return psycopg.connect(
        host=HOST, port=PORT, dbname=DATABASE, user="postgres", connect_timeout=20, **options
    )


def expect(error, function):
    try:
        function()
    except error as caught:
        return caught
    raise AssertionError(f"{error.__name__} was expected")


@check
def simple_and_parameters():
    with connect(autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        row = connection.execute(
            "SELECT %s::int, %s::text, %s::text, %s::bytea", (42, "grün 'x'", None, b"\0\xff")
        ).fetchone()
        assert row == (42, "grün 'x'", None, b"\0\xff"), row
        rows = connection.execute("SELECT g FROM generate_series(1, 5000) g").fetchall()
        assert rows == [(number,) for number in range(1, 5001)]
        with connection.cursor(binary=True) as cursor:
            assert cursor.execute("SELECT %s::bigint", (2**40,)).fetchone() == (2**40,)
        assert connection.execute("").rowcount == -1


@check
def encodings_and_settings_are_told():
    with connect(autocommit=True, client_encoding="latin1", application_name="check") as connection:
        assert connection.info.encoding == "iso8859-1", connection.info.encoding
        assert connection.execute("SELECT 'grün'").fetchone() == ("grün",)
        assert connection.execute("SHOW application_name").fetchone() == ("check",)
        assert connection.info.parameter_status("server_version")
    with connect(autocommit=True) as connection:
        # The next client, perhaps on the same server connection, has settings of its own.
        assert connection.execute("SHOW client_encoding").fetchone() == ("UTF8",)


@check
def named_statements_over_more_clients_than_server_connections():
    """Every client prepares the same names for different texts, and all take turns on few server connections."""
    failures = []

    def client(number):
        try:
            with connect(autocommit=True, prepare_threshold=0) as connection:
                for turn in range(40):
                    for shape in range(5):
                        # Equal text up to the comment-free constant: names collide between clients, texts do not.
                        text = sql.SQL("SELECT {} + {} + %s::int").format(number * 100, shape)
                        row = connection.execute(text, (turn,)).fetchone()
                        assert row == (number * 100 + shape + turn,), (number, shape, turn, row)
                    shared = connection.execute("SELECT %s::int * 2", (turn,)).fetchone()
                    assert shared == (turn * 2,)
        except Exception as error:  # noqa: BLE001, it is reported below
            failures.append((number, error))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


@check
def prepared_statements_are_forgotten_on_demand():
    with connect(autocommit=True, prepare_threshold=0) as connection:
        connection.prepared_max = 2
        for turn in range(30):
            text = sql.SQL("SELECT {}::int, %s::int").format(turn % 7)
            assert connection.execute(text, (turn,)).fetchone() == (turn % 7, turn)


@check
def pipelines():
    with connect(autocommit=True) as connection:
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("SELECT %s::int", (number,)) for number in range(200)]
            pipeline.sync()
            assert [cursor.fetchone()[0] for cursor in cursors] == list(range(200))
        # An error skips the rest up to the Sync, and only that.
        def broken():
            with connection.pipeline():
                connection.execute("SELECT 1 / %s::int", (0,))
                connection.execute("SELECT 1")

        expect(errors.DivisionByZero, broken)
        assert connection.execute("SELECT 7").fetchone() == (7,)
    with connect() as connection:
        with connection.pipeline():
            connection.execute("CREATE TEMPORARY TABLE piped (n int)")
            for number in range(20):
                connection.execute("INSERT INTO piped VALUES (%s)", (number,))
            total = connection.execute("SELECT sum(n) FROM piped")
        assert total.fetchone() == (190,)


@check
def transactions_and_rollback():
    with connect(autocommit=True) as admin:
        admin.execute("DROP TABLE IF EXISTS ledger")
        admin.execute("CREATE TABLE ledger (who text, amount int)")
    with connect() as connection:
        connection.execute("INSERT INTO ledger VALUES ('ada', 1)")
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (0,)
        with connection.transaction():
            connection.execute("INSERT INTO ledger VALUES ('ada', 2)")
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO ledger VALUES ('bob', 3)")
                    connection.execute("SELECT 1 / 0")
            except errors.DivisionByZero:
                pass
        connection.commit()
        with connect(autocommit=True) as other:
            assert other.execute("SELECT who, amount FROM ledger").fetchall() == [("ada", 2)]


@check
def errors_leave_the_session_in_step():
    with connect() as connection:
        error = expect(errors.UndefinedTable, lambda: connection.execute("SELECT * FROM nowhere"))
        assert error.diag.statement_position == "15" and error.diag.severity_nonlocalized == "ERROR"
        expect(errors.InFailedSqlTransaction, lambda: connection.execute("SELECT 1"))
        connection.rollback()
        expect(errors.SyntaxError, lambda: connection.execute("SELEKT %s", (1,)))
        connection.rollback()
        expect(errors.InvalidTextRepresentation, lambda: connection.execute("SELECT %s::int", ("x",)))
        connection.rollback()
        assert connection.execute("SELECT 3").fetchone() == (3,)


@check
def notices_arrive():
    with connect(autocommit=True) as connection:
        heard = []
        connection.add_notice_handler(lambda diagnostic: heard.append(diagnostic.message_primary))
        connection.execute("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
        assert heard == ["hello"], heard


@check
def copy_both_ways():
    with connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS copied (n int, note text)")
        connection.execute("TRUNCATE copied")
        with connection.cursor() as cursor:
            with cursor.copy("COPY copied (n, note) FROM STDIN") as copy:
                for number in range(10_000):
                    copy.write_row((number, f"note {number}" if number % 3 else None))
            assert cursor.rowcount == 10_000
            with cursor.copy("COPY (SELECT n FROM copied ORDER BY n) TO STDOUT") as copy:
                assert [int(row[0]) for row in copy.rows()] == list(range(10_000))
        connection.commit()

        def failing():
            with connection.cursor().copy("COPY copied (n) FROM STDIN") as copy:
                copy.write("1\n")
                raise ValueError("changed my mind")

        expect(errors.QueryCanceled, failing)
        connection.rollback()

        def wrong():
            with connection.cursor().copy("COPY copied (n) FROM STDIN") as copy:
                copy.write("not a number\n")

        expect(errors.InvalidTextRepresentation, wrong)
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM copied").fetchone() == (10_000,)


@check
def server_side_cursors():
    with connect() as connection:
        with connection.cursor(name="walk") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT g FROM generate_series(1, 1000) g")
            assert sum(row[0] for row in cursor) == 500_500


@check
def cancel():
    with connect(autocommit=True) as connection:
        timer = threading.Timer(0.3, connection.cancel)
        started = time.monotonic()
        timer.start()
        expect(errors.QueryCanceled, lambda: connection.execute("SELECT pg_sleep(30)"))
        assert time.monotonic() - started < 15
        timer.join()
        # It hit that statement and nothing after it.
        assert connection.execute("SELECT 5").fetchone() == (5,)


@check
def an_abandoned_transaction_is_rolled_back():
    with connect(autocommit=True) as admin:
        admin.execute("CREATE TABLE IF NOT EXISTS abandoned (n int)")
        admin.execute("TRUNCATE abandoned")
        connection = connect()
        connection.execute("INSERT INTO abandoned VALUES (1)")
        connection.close()
        # TRUNCATE waits for the lock of that transaction, if it still lives.
        admin.execute("BEGIN; SET LOCAL lock_timeout = '10s'; TRUNCATE abandoned; COMMIT")
        assert admin.execute("SELECT count(*) FROM abandoned").fetchone() == (0,)


for function in CHECKS:
    function()
    print(function.__name__, flush=True)
print("all checks passed")
