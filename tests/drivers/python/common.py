"""What the Python drivers' programs share: the command line, and how checks are run and reported.

A program gets HOST PORT DATABASE SERVER_CONNECTIONS, and prints a line for each check: `ok NAME`, `skip NAME REASON` or
`FAIL NAME REASON`. Every name of ../checks.txt is printed by every program.
"""

import asyncio
import datetime
import decimal
import inspect
import sys
import threading
import traceback
import uuid

HOST, PORT, DATABASE, SERVER_CONNECTIONS = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
USER = "postgres"
TASKS = 50
ROUNDS = 10
LARGE_BYTES = 10 * 1024 * 1024

NOW = datetime.datetime(2024, 2, 29, 13, 14, 15, 161718, tzinfo=datetime.timezone.utc)
# A type's name, and a value that must come back as it went.
VALUES = [
    ("int2", -32768),
    ("int4", 2147483647),
    ("int8", -(2**62)),
    ("float8", 0.1),
    ("numeric", decimal.Decimal("12345678901234567890.0123456789")),
    ("bool", True),
    ("text", "grün 'quoted' \\ \u2603 \U0001f600"),
    ("bytea", bytes(range(256))),
    ("date", datetime.date(2024, 2, 29)),
    ("timestamptz", NOW),
    ("uuid", uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")),
    ("int4[]", [1, 2, 3]),
    ("text[]", ["a", "b,c", 'd"e']),
]


class Skip(Exception):
    """The driver has no such thing."""


def program(name, version, checks):
    """Runs the checks, a dictionary of functions, and ends the program."""
    print(f"driver {name} {version}", flush=True)
    failed = False
    for check, function in checks.items():
        try:
            if inspect.iscoroutinefunction(function):
                asyncio.run(asyncio.wait_for(function(), 60))
            else:
                function()
        except Skip as reason:
            print(f"skip {check} {reason}", flush=True)
        except BaseException as error:  # noqa: BLE001, whatever it is belongs into the report
            failed = True
            traceback.print_exc()
            print(f"FAIL {check} {type(error).__name__}: {error}".replace("\n", " "), flush=True)
        else:
            print(f"ok {check}", flush=True)
    sys.exit(failed)


def expect(error, function):
    """The error that the function must raise."""
    try:
        function()
    except error as caught:
        return caught
    raise AssertionError(f"{error.__name__} was expected")


async def expect_async(error, awaitable):
    """The error that must come of it."""
    try:
        await awaitable
    except error as caught:
        return caught
    raise AssertionError(f"{error.__name__} was expected")


def in_threads(count, work):
    """Runs the work in so many threads at once, each with its number, and raises what one of them has raised."""
    failures = []

    def guarded(number):
        try:
            work(number)
        except Exception as error:  # noqa: BLE001, it is raised below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


TERMINATE_OTHERS = """
    SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
