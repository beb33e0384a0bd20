"""Drives psycopg 3 through the proxy; see common.py."""

import threading
import time

import psycopg
from psycopg import errors, sql

from common import (
    DATABASE, HOST, LARGE_BYTES, PORT, ROUNDS, SERVER_CONNECTIONS, TASKS, TERMINATE_OTHERS, USER, VALUES,
    expect, in_threads, program, same,
)


def connect(**options):
    options.setdefault("autocommit", True)
    return psycopg.connect(host=HOST, port=PORT, dbname=DATABASE, user=USER, connect_timeout=20, **options)


def check_connect():
    with connect(application_name="check") as connection:
        assert connection.info.parameter_status("server_version")
        same(connection.execute("SHOW application_name").fetchone(), ("check",))
    with connect(client_encoding="latin1") as connection:
        same(connection.info.encoding, "iso8859-1")
        same(connection.execute("SELECT 'grün'").fetchone(), ("grün",))
    with connect() as connection:
        same(connection.execute("SHOW client_encoding").fetchone(), ("UTF8",))


def check_simple():
    with connect() as connection:
        cursor = psycopg.ClientCursor(connection)
        cursor.execute("SELECT 1; SELECT 'two'; SELECT 3 WHERE false")
        same(cursor.fetchall(), [(1,)])
        assert cursor.nextset()
        same(cursor.fetchall(), [("two",)])
        assert cursor.nextset()
        same(cursor.fetchall(), [])
        same(connection.execute("").rowcount, -1)


def check_parameters():
    with connect() as connection:
        row = connection.execute("SELECT %s::int, %s::text, %s::bytea", (42, "grün 'x'", b"\0\xff")).fetchone()
        same(row, (42, "grün 'x'", b"\0\xff"))
        rows = connection.execute("SELECT g FROM generate_series(1, %s::int) g", (5000,)).fetchall()
        same(rows, [(number,) for number in range(1, 5001)])


def check_prepared():
    def work(number):
        with connect() as connection:
            connection.prepare_threshold = 5
            connection.prepared_max = 3
            for turn in range(40):
                text = sql.SQL("SELECT {} + %s::int").format(number * 100 + turn % 4)
                same(connection.execute(text, (turn,)).fetchone(), (number * 100 + turn % 4 + turn,))
                same(connection.execute("SELECT %s::int * 2", (turn,)).fetchone(), (turn * 2,))

    in_threads(SERVER_CONNECTIONS * 3, work)


def round_trip(is_binary):
    with connect() as connection, connection.cursor(binary=is_binary) as cursor:
        for kind, value in VALUES:
            mark = "%b" if is_binary else "%t"
            found = cursor.execute(f"SELECT {mark}::{kind}", (value,)).fetchone()[0]
            same(found, value)


def check_types_text():
    round_trip(False)


def check_types_binary():
    round_trip(True)


def check_nulls():
    with connect() as connection:
        for kind, _ in VALUES:
            for is_binary in (False, True):
                cursor = connection.cursor(binary=is_binary)
                same(cursor.execute(f"SELECT %s::{kind}", (None,)).fetchone(), (None,))


def check_transactions():
    with connect(autocommit=False) as connection, connect() as other:
        connection.execute("CREATE TABLE ledger (who text, amount int)")
        connection.commit()
        connection.execute("INSERT INTO ledger VALUES ('ada', 1)")
        same(other.execute("SELECT count(*) FROM ledger").fetchone(), (0,))
        connection.rollback()
        same(connection.execute("SELECT count(*) FROM ledger").fetchone(), (0,))
        connection.execute("INSERT INTO ledger VALUES ('ada', 2)")
        connection.commit()
        same(other.execute("SELECT who, amount FROM ledger").fetchall(), [("ada", 2)])
    abandoned = connect(autocommit=False)
    abandoned.execute("INSERT INTO ledger VALUES ('lost', 3)")
    abandoned.close()
    with connect() as connection:
        # It waits for the lock of that transaction, if that still lives.
        connection.execute("BEGIN; SET LOCAL lock_timeout = '10s'; LOCK ledger; COMMIT")
        same(connection.execute("SELECT count(*) FROM ledger").fetchone(), (1,))


def check_savepoints():
    with connect(autocommit=False) as connection:
        with connection.transaction():
            connection.execute("CREATE TABLE saved (n int)")
            connection.execute("INSERT INTO saved VALUES (1)")

            def inner():
                with connection.transaction():
                    connection.execute("INSERT INTO saved VALUES (2)")
                    connection.execute("SELECT 1 / 0")

            expect(errors.DivisionByZero, inner)
            connection.execute("INSERT INTO saved VALUES (3)")
        same(connection.execute("SELECT n FROM saved ORDER BY n").fetchall(), [(1,), (3,)])


def check_errors():
    with connect(autocommit=False) as connection:
        error = expect(errors.UndefinedTable, lambda: connection.execute("SELECT * FROM nowhere"))
        same((error.diag.statement_position, error.diag.severity_nonlocalized), ("15", "ERROR"))
        expect(errors.InFailedSqlTransaction, lambda: connection.execute("SELECT 1"))
        connection.rollback()
        expect(errors.SyntaxError, lambda: connection.execute("SELEKT %s", (1,)))
        connection.rollback()
        expect(errors.InvalidTextRepresentation, lambda: connection.execute("SELECT %s::int", ("x",)))
        connection.rollback()
        same(connection.execute("SELECT 3").fetchone(), (3,))
    with connect() as connection:
        heard = []
        connection.add_notice_handler(lambda diagnostic: heard.append(diagnostic.message_primary))
        connection.execute("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
        same(heard, ["hello"])


def check_pipelining():
    with connect() as connection:
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("SELECT %s::int", (number,)) for number in range(200)]
            pipeline.sync()
            same([cursor.fetchone()[0] for cursor in cursors], list(range(200)))

        def broken():
            with connection.pipeline():
                connection.execute("SELECT 1 / %s::int", (0,))
                connection.execute("SELECT 1")

        expect(errors.DivisionByZero, broken)
        same(connection.execute("SELECT 7").fetchone(), (7,))
    with connect(autocommit=False) as connection, connection.pipeline():
        connection.execute("CREATE TABLE piped (n int)")
        for number in range(20):
            connection.execute("INSERT INTO piped VALUES (%s)", (number,))
        same(connection.execute("SELECT sum(n) FROM piped").fetchone(), (190,))


def check_copy():
    with connect(autocommit=False) as connection:
        connection.execute("CREATE TABLE copied (n int, note text)")
        connection.commit()
        cursor = connection.cursor()
        for options in ("", "(FORMAT binary)"):
            connection.execute("TRUNCATE copied")
            with cursor.copy(f"COPY copied FROM STDIN {options}") as copy:
                copy.set_types(["int4", "text"])
                for number in range(10_000):
                    copy.write_row((number, f"note {number}" if number % 3 else None))
            same(cursor.rowcount, 10_000)
            with cursor.copy(f"COPY (SELECT n FROM copied ORDER BY n) TO STDOUT {options}") as copy:
                copy.set_types(["int4"])
                same([row[0] for row in copy.rows()], list(range(10_000)))
        connection.commit()

        def failing():
            with connection.cursor().copy("COPY copied (n) FROM STDIN") as copy:
                copy.write("1\n")
                raise ValueError("changed my mind")

        expect((ValueError, errors.QueryCanceled), failing)
        connection.rollback()

        def wrong():
            with connection.cursor().copy("COPY copied (n) FROM STDIN") as copy:
                copy.write("not a number\n")

        expect(errors.InvalidTextRepresentation, wrong)
        connection.rollback()
        same(connection.execute("SELECT count(*) FROM copied").fetchone(), (10_000,))


def check_row_limit():
    with connect(autocommit=False) as connection:
        with connection.cursor(name="walk") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT g FROM generate_series(1, 1000) g")
            same(sum(row[0] for row in cursor), 500_500)
        same(sum(row[0] for row in connection.cursor().stream("SELECT generate_series(1, 1000)")), 500_500)


def check_concurrency():
    with connect() as connection:
        connection.execute("CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)")

    def work(number):
        with connect(autocommit=False, prepare_threshold=0) as connection:
            for turn in range(ROUNDS):
                connection.execute("UPDATE counter SET n = n + 1")
                row = connection.execute("SELECT %s::int + %s::int", (number, turn)).fetchone()
                same(row, (number + turn,))
                connection.commit()

    in_threads(TASKS, work)
    with connect() as connection:
        same(connection.execute("SELECT n FROM counter").fetchone(), (TASKS * ROUNDS,))


def check_cancel():
    with connect() as connection:
        timer = threading.Timer(0.3, connection.cancel)
        started = time.monotonic()
        timer.start()
        expect(errors.QueryCanceled, lambda: connection.execute("SELECT pg_sleep(30)"))
        assert time.monotonic() - started < 15
        timer.join()
        same(connection.execute("SELECT 5").fetchone(), (5,))


def check_timeout():
    with connect(autocommit=False) as connection:
        connection.execute("SET LOCAL statement_timeout = 100")
        expect(errors.QueryCanceled, lambda: connection.execute("SELECT pg_sleep(30)"))
        connection.rollback()
        same(connection.execute("SHOW statement_timeout").fetchone(), ("0",))


def check_listen():
    with connect() as listener, connect() as sender:
        listener.execute("LISTEN news")
        sender.execute("SELECT pg_notify('news', %s)", ("one",))
        sender.execute("NOTIFY news, 'two'")
        heard = []
        for notification in listener.notifies():
            heard.append((notification.channel, notification.payload))
            if len(heard) == 2:
                break
        same(heard, [("news", "one"), ("news", "two")])
        listener.execute("UNLISTEN *")
        same(listener.execute("SELECT 1").fetchone(), (1,))


def check_settings():
    connections = [connect() for _ in range(SERVER_CONNECTIONS * 2)]
    for number, connection in enumerate(connections):
        connection.execute(f"SET work_mem = '{number + 1}MB'")
        connection.execute("SELECT set_config('application_name', %s, false)", (f"app {number}",))
    for number, connection in enumerate(connections * 3):
        number %= len(connections)
        same(connection.execute("SHOW work_mem").fetchone(), (f"{number + 1}MB",))
        same(connection.execute("SHOW application_name").fetchone(), (f"app {number}",))
    connections[0].execute("RESET ALL")
    same(connections[0].execute("SHOW work_mem").fetchone(), ("4MB",))
    for connection in connections:
        connection.close()
    with connect() as connection:
        same(connection.execute("SHOW work_mem").fetchone(), ("4MB",))


def check_large_value():
    value = bytes(range(256)) * (LARGE_BYTES // 256)
    with connect() as connection:
        for is_binary in (False, True):
            cursor = connection.cursor(binary=is_binary)
            same(cursor.execute("SELECT %s::bytea", (value,)).fetchone()[0] == value, True)


def check_reconnect():
    with connect() as connection, connect(autocommit=False) as busy, connect() as killer:
        busy.execute("SELECT 1")
        killer.execute(TERMINATE_OTHERS)
        # Between transactions the client does not notice; within one it is told, and comes again.
        same(connection.execute("SELECT 1").fetchone(), (1,))
        expect(psycopg.OperationalError, lambda: busy.execute("SELECT 1"))
    with connect() as connection:
        same(connection.execute("SELECT 2").fetchone(), (2,))


program("psycopg", psycopg.__version__, {
    name.removeprefix("check_"): value for name, value in list(globals().items()) if name.startswith("check_")
})
