"""Drives psycopg2 through the proxy; see common.py. It speaks the simple protocol only."""

import io
import select
import threading

import psycopg2
from psycopg2 import errors, extensions

from common import (
    DATABASE, HOST, LARGE_BYTES, PORT, ROUNDS, SERVER_CONNECTIONS, TASKS, TERMINATE_OTHERS, USER, VALUES, Skip,
    expect, in_threads, program, same,
)
import psycopg2.extras

psycopg2.extras.register_uuid()


def connect(autocommit=True, **options):
    connection = psycopg2.connect(host=HOST, port=PORT, dbname=DATABASE, user=USER, connect_timeout=20, **options)
    connection.autocommit = autocommit
    return connection


def run(connection, text, values=None):
    cursor = connection.cursor()
    cursor.execute(text, values)
    return cursor.fetchall() if cursor.description else None


def check_connect():
    connection = connect(application_name="check", options="-c work_mem=7MB")
    same(run(connection, "SHOW application_name"), [("check",)])
    same(run(connection, "SHOW work_mem"), [("7MB",)])
    connection.set_client_encoding("LATIN1")
    same(run(connection, "SELECT 'grün'"), [("grün",)])
    connection.close()


def check_simple():
    connection = connect()
    same(run(connection, "SELECT 1; SELECT 'two'"), [("two",)])
    expect(psycopg2.ProgrammingError, lambda: run(connection, ""))
    connection.close()


def check_parameters():
    connection = connect()
    same(run(connection, "SELECT %s, %s, %s", (42, "grün 'x'", None)), [(42, "grün 'x'", None)])
    rows = run(connection, "SELECT g FROM generate_series(1, %s) g", (5000,))
    same(rows, [(number,) for number in range(1, 5001)])
    connection.close()


def check_prepared():
    connections = [connect() for _ in range(SERVER_CONNECTIONS - 1)]
    for number, connection in enumerate(connections):
        run(connection, f"PREPARE mine (int) AS SELECT {number} * 100 + $1")
    for turn in range(20):
        for number, connection in enumerate(connections):
            same(run(connection, "EXECUTE mine (%s)", (turn,)), [(number * 100 + turn,)])
    for connection in connections:
        run(connection, "DEALLOCATE mine")
        expect(errors.InvalidSqlStatementName, lambda: run(connection, "EXECUTE mine (1)"))
        connection.close()


def check_types_text():
    connection = connect()
    for kind, value in VALUES:
        found = run(connection, f"SELECT CAST(%s AS {kind})", (value,))[0][0]
        same(bytes(found) if isinstance(found, memoryview) else found, value)
    connection.close()


def check_types_binary():
    raise Skip("the driver sends text only")


def check_nulls():
    connection = connect()
    for kind, _ in VALUES:
        same(run(connection, f"SELECT %s::{kind}", (None,)), [(None,)])
    connection.close()


def check_transactions():
    connection, other = connect(autocommit=False), connect()
    run(connection, "CREATE TABLE ledger (who text, amount int)")
    connection.commit()
    run(connection, "INSERT INTO ledger VALUES ('ada', 1)")
    same(run(other, "SELECT count(*) FROM ledger"), [(0,)])
    connection.rollback()
    run(connection, "INSERT INTO ledger VALUES ('ada', 2)")
    connection.commit()
    same(run(other, "SELECT who, amount FROM ledger"), [("ada", 2)])
    run(connection, "INSERT INTO ledger VALUES ('lost', 3)")
    connection.close()
    run(other, "BEGIN; SET LOCAL lock_timeout = '10s'; LOCK ledger; COMMIT")
    same(run(other, "SELECT count(*) FROM ledger"), [(1,)])
    other.close()
    for level in (extensions.ISOLATION_LEVEL_SERIALIZABLE, extensions.ISOLATION_LEVEL_REPEATABLE_READ):
        connection = connect(autocommit=False)
        connection.set_session(isolation_level=level, readonly=True)
        expect(errors.ReadOnlySqlTransaction, lambda: run(connection, "INSERT INTO ledger VALUES ('x', 1)"))
        connection.close()


def check_savepoints():
    connection = connect(autocommit=False)
    run(connection, "CREATE TABLE saved (n int); INSERT INTO saved VALUES (1)")
    run(connection, "SAVEPOINT here")
    expect(errors.DivisionByZero, lambda: run(connection, "SELECT 1 / 0"))
    run(connection, "ROLLBACK TO here")
    run(connection, "INSERT INTO saved VALUES (3)")
    connection.commit()
    same(run(connection, "SELECT n FROM saved ORDER BY n"), [(1,), (3,)])
    connection.close()


def check_errors():
    connection = connect(autocommit=False)
    error = expect(errors.UndefinedTable, lambda: run(connection, "SELECT * FROM nowhere"))
    same(error.diag.statement_position, "15")
    expect(errors.InFailedSqlTransaction, lambda: run(connection, "SELECT 1"))
    connection.rollback()
    expect(errors.SyntaxError, lambda: run(connection, "SELEKT 1"))
    connection.rollback()
    run(connection, "DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
    same(connection.notices, ["NOTICE:  hello\n"])
    connection.close()


def check_pipelining():
    connection = connect()
    psycopg2.extras.execute_batch(
        connection.cursor(),
        "SELECT %s",
        [(number,) for number in range(500)],
    )
    rows = psycopg2.extras.execute_values(
        connection.cursor(), "SELECT * FROM (VALUES %s) v (n)", [(number,) for number in range(500)], fetch=True
    )
    assert rows[-1] == (499,), rows[-1]
    connection.close()


def check_copy():
    connection = connect(autocommit=False)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE copied (n int, note text)")
    connection.commit()
    cursor.copy_expert("COPY copied FROM STDIN", io.StringIO("".join(f"{n}\tnote {n}\n" for n in range(10_000))))
    same(cursor.rowcount, 10_000)
    out = io.BytesIO()
    cursor.copy_expert("COPY copied TO STDOUT (FORMAT binary)", out)
    connection.commit()
    cursor.execute("TRUNCATE copied")
    out.seek(0)
    cursor.copy_expert("COPY copied FROM STDIN (FORMAT binary)", out)
    same(cursor.rowcount, 10_000)
    connection.commit()
    wrong = io.StringIO("not a number\n")
    expect(errors.InvalidTextRepresentation, lambda: cursor.copy_expert("COPY copied (n) FROM STDIN", wrong))
    connection.rollback()

    class Broken:
        def read(self, size):
            raise ValueError("changed my mind")

    expect(errors.QueryCanceled, lambda: cursor.copy_expert("COPY copied (n) FROM STDIN", Broken()))
    connection.rollback()
    same(run(connection, "SELECT count(*) FROM copied"), [(10_000,)])
    connection.close()


def check_row_limit():
    connection = connect(autocommit=False)
    cursor = connection.cursor(name="walk")
    cursor.itersize = 100
    cursor.execute("SELECT g FROM generate_series(1, 1000) g")
    same(sum(row[0] for row in cursor), 500_500)
    cursor.close()
    connection.close()


def check_concurrency():
    connection = connect()
    run(connection, "CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)")

    def work(number):
        mine = connect(autocommit=False)
        for turn in range(ROUNDS):
            run(mine, "UPDATE counter SET n = n + 1")
            same(run(mine, "SELECT %s + %s", (number, turn)), [(number + turn,)])
            mine.commit()
        mine.close()

    in_threads(TASKS, work)
    same(run(connection, "SELECT n FROM counter"), [(TASKS * ROUNDS,)])
    connection.close()


def check_cancel():
    connection = connect()
    timer = threading.Timer(0.3, connection.cancel)
    timer.start()
    expect(errors.QueryCanceled, lambda: run(connection, "SELECT pg_sleep(30)"))
    timer.join()
    same(run(connection, "SELECT 5"), [(5,)])
    connection.close()


def check_timeout():
    connection = connect(options="-c statement_timeout=200")
    expect(errors.QueryCanceled, lambda: run(connection, "SELECT pg_sleep(30)"))
    same(run(connection, "SELECT 5"), [(5,)])
    connection.close()


def check_listen():
    listener, sender = connect(), connect()
    run(listener, "LISTEN news")
    run(sender, "NOTIFY news, 'one'")
    while not listener.notifies:
        ready, _, _ = select.select([listener], [], [], 20)
        assert ready, "no notification came"
        listener.poll()
    same([(heard.channel, heard.payload) for heard in listener.notifies], [("news", "one")])
    listener.close()
    sender.close()


def check_settings():
    connections = [connect() for _ in range(SERVER_CONNECTIONS * 2)]
    for number, connection in enumerate(connections):
        run(connection, f"SET work_mem = '{number + 1}MB'; SET search_path = s{number}, public")
    for number, connection in enumerate(connections * 3):
        number %= len(connections)
        same(run(connection, "SHOW work_mem"), [(f"{number + 1}MB",)])
        same(run(connection, "SHOW search_path"), [(f"s{number}, public",)])
    for connection in connections:
        connection.close()


def check_large_value():
    value = bytes(range(256)) * (LARGE_BYTES // 256)
    connection = connect()
    same(bytes(run(connection, "SELECT %s", (psycopg2.Binary(value),))[0][0]) == value, True)
    connection.close()


def check_reconnect():
    connection, busy, killer = connect(), connect(autocommit=False), connect()
    run(connection, "SELECT 1")
    run(busy, "SELECT 1")
    run(killer, TERMINATE_OTHERS)
    same(run(connection, "SELECT 1"), [(1,)])
    expect(psycopg2.OperationalError, lambda: run(busy, "SELECT 1"))
    busy = connect()
    same(run(busy, "SELECT 2"), [(2,)])


program("psycopg2", psycopg2.__version__.split()[0], {
    name.removeprefix("check_"): value for name, value in list(globals().items()) if name.startswith("check_")
})
