"""Drives asyncpg through the proxy; see common.py. Values go in binary; names are its own (`__asyncpg_stmt_1__`)."""

import asyncio

import asyncpg

from common import (
    DATABASE, HOST, LARGE_BYTES, PORT, ROUNDS, SERVER_CONNECTIONS, TASKS, TERMINATE_OTHERS, USER, VALUES,
    expect_async, program, same,
)


async def connect(**options):
    return await asyncpg.connect(host=HOST, port=PORT, database=DATABASE, user=USER, timeout=20, **options)


async def check_connect():
    connection = await connect(server_settings={"application_name": "check", "search_path": "elsewhere, public"})
    same(await connection.fetchval("SHOW application_name"), "check")
    same(await connection.fetchval("SHOW search_path"), "elsewhere, public")
    same(connection.get_server_version().major, int(await connection.fetchval("SHOW server_version_num")) // 10000)
    await connection.close()


async def check_simple():
    connection = await connect()
    same(await connection.execute("SELECT 1; CREATE TABLE simple (n int); SELECT 2"), "SELECT 1")
    await connection.close()


async def check_parameters():
    connection = await connect()
    row = await connection.fetchrow("SELECT $1::int, $2::text, $3::text", 42, "grün 'x'", None)
    same(tuple(row), (42, "grün 'x'", None))
    rows = await connection.fetch("SELECT g FROM generate_series(1, $1::int) g", 5000)
    same([row[0] for row in rows], list(range(1, 5001)))
    await connection.close()


async def check_prepared():
    async def work(number):
        # Three statements are kept, more are used: the driver closes and prepares again.
        connection = await connect(statement_cache_size=3)
        mine = await connection.prepare(f"SELECT {number} * 1000 + $1::int")
        for turn in range(30):
            same(await mine.fetchval(turn), number * 1000 + turn)
            same(await connection.fetchval(f"SELECT {turn % 5} + $1::int", turn), turn % 5 + turn)
        await connection.close()

    await asyncio.gather(*(work(number) for number in range(SERVER_CONNECTIONS * 3)))


async def check_types_text():
    connection = await connect()
    for kind in ("int4", "numeric", "timestamptz", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=str, decoder=str, format="text"
        )
    same(await connection.fetchval("SELECT $1::int4", "42"), "42")
    same(await connection.fetchval("SELECT $1::numeric", "1.500"), "1.500")
    same(await connection.fetchval("SELECT $1::jsonb", '{"a": [1]}'), '{"a": [1]}')
    await connection.close()


async def check_types_binary():
    connection = await connect()
    for kind, value in VALUES:
        same(await connection.fetchval(f"SELECT $1::{kind}", value), value)
    # A type that the driver looks up first, with queries of its own.
    await connection.execute("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TYPE pair AS (a int, b mood)")
    same(await connection.fetchval("SELECT $1::mood", "happy"), "happy")
    same(tuple(await connection.fetchval("SELECT $1::pair", (1, "sad"))), (1, "sad"))
    same(await connection.fetchval("SELECT $1::mood[]", ["sad", "happy"]), ["sad", "happy"])
    await connection.close()


async def check_nulls():
    connection = await connect()
    for kind, _ in VALUES:
        same(await connection.fetchval(f"SELECT $1::{kind}", None), None)
    await connection.close()


async def check_transactions():
    connection, other = await connect(), await connect()
    await connection.execute("CREATE TABLE ledger (who text, amount int)")
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("INSERT INTO ledger VALUES ($1, $2)", "ada", 1)
    same(await other.fetchval("SELECT count(*) FROM ledger"), 0)
    await transaction.rollback()
    async with connection.transaction(isolation="serializable"):
        await connection.execute("INSERT INTO ledger VALUES ($1, $2)", "ada", 2)
    same([tuple(row) for row in await other.fetch("SELECT * FROM ledger")], [("ada", 2)])
    await connection.close()
    await other.close()


async def check_savepoints():
    connection = await connect()
    async with connection.transaction():
        await connection.execute("CREATE TABLE saved (n int)")
        await connection.execute("INSERT INTO saved VALUES (1)")

        async def inner():
            async with connection.transaction():
                await connection.execute("INSERT INTO saved VALUES (2)")
                await connection.fetch("SELECT 1 / 0")

        await expect_async(asyncpg.DivisionByZeroError, inner())
        await connection.execute("INSERT INTO saved VALUES (3)")
    same([row[0] for row in await connection.fetch("SELECT n FROM saved ORDER BY n")], [1, 3])
    await connection.close()


async def check_errors():
    connection = await connect()
    error = await expect_async(asyncpg.UndefinedTableError, connection.fetch("SELECT * FROM nowhere"))
    same(error.position, "15")
    await expect_async(asyncpg.PostgresSyntaxError, connection.fetch("SELEKT $1", 1))
    await expect_async(asyncpg.InvalidTextRepresentationError, connection.fetch("SELECT $1::text::int", "x"))
    heard = []
    connection.add_log_listener(lambda _, message: heard.append(message.message))
    await connection.execute("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
    same(await connection.fetchval("SELECT 3"), 3)
    same(heard, ["hello"])
    # A cached plan whose result changes: the driver prepares again by itself.
    await connection.execute("CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)")
    same(len(await connection.fetchrow("SELECT * FROM changing")), 1)
    other = await connect()
    await other.execute("ALTER TABLE changing ADD b int DEFAULT 2")
    same(len(await connection.fetchrow("SELECT * FROM changing")), 2)
    await other.close()
    await connection.close()


async def check_pipelining():
    connection = await connect()
    await connection.execute("CREATE TABLE piped (n int UNIQUE)")
    await connection.executemany("INSERT INTO piped VALUES ($1)", [(number,) for number in range(2000)])
    same(await connection.fetchval("SELECT sum(n) FROM piped"), 1999 * 1000)
    await expect_async(
        asyncpg.UniqueViolationError,
        connection.executemany("INSERT INTO piped VALUES ($1)", [(3000 + number % 400,) for number in range(500)]),
    )
    # All or nothing.
    same(await connection.fetchval("SELECT count(*) FROM piped"), 2000)
    await connection.close()


async def check_copy():
    connection = await connect()
    await connection.execute("CREATE TABLE copied (n int, note text)")
    rows = [(number, f"note {number}" if number % 3 else None) for number in range(10_000)]
    same(await connection.copy_records_to_table("copied", records=rows), "COPY 10000")
    out = bytearray()

    async def keep(data):
        out.extend(data)

    same(await connection.copy_from_query("SELECT n FROM copied ORDER BY n", output=keep), "COPY 10000")
    same(out.decode().split(), [str(number) for number in range(10_000)])

    async def broken():
        yield b"1\tone\n"
        raise ValueError("changed my mind")

    await expect_async(ValueError, connection.copy_to_table("copied", source=broken()))

    async def wrong():
        yield b"not a number\tone\n"

    await expect_async(asyncpg.PostgresError, connection.copy_to_table("copied", source=wrong()))
    same(await connection.fetchval("SELECT count(*) FROM copied"), 10_000)
    await connection.close()


async def check_row_limit():
    connection = await connect()
    async with connection.transaction():
        total = 0
        async for row in connection.cursor("SELECT g FROM generate_series(1, $1::int) g", 1000, prefetch=70):
            total += row[0]
        same(total, 500_500)
        cursor = await connection.cursor("SELECT g FROM generate_series(1, 100) g")
        await cursor.forward(10)
        same([row[0] for row in await cursor.fetch(3)], [11, 12, 13])
        same(await connection.fetchval("SELECT 1"), 1)
        same((await cursor.fetchrow())[0], 14)
    await connection.close()


async def check_concurrency():
    # The pool resets each connection that comes back: advisory locks, cursors, LISTEN, settings.
    async with asyncpg.create_pool(
        host=HOST, port=PORT, database=DATABASE, user=USER, min_size=20, max_size=20
    ) as pool:
        await pool.execute("CREATE TABLE counter (n int)")
        await pool.execute("INSERT INTO counter VALUES (0)")

        async def work(number):
            for turn in range(ROUNDS):
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute("UPDATE counter SET n = n + 1")
                    same(await connection.fetchval("SELECT $1::int + $2::int", number, turn), number + turn)

        await asyncio.gather(*(work(number) for number in range(TASKS)))
        same(await pool.fetchval("SELECT n FROM counter"), TASKS * ROUNDS)


async def check_cancel():
    connection = await connect()
    await expect_async(asyncio.TimeoutError, connection.fetch("SELECT pg_sleep(30)", timeout=0.3))
    same(await connection.fetchval("SELECT 5"), 5)
    task = asyncio.ensure_future(connection.fetch("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.2)
    task.cancel()
    await expect_async(asyncio.CancelledError, task)
    same(await connection.fetchval("SELECT 6"), 6)
    await connection.close()


async def check_timeout():
    connection = await connect()
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 100")
        async def sleeper():
            async with connection.transaction():
                await connection.fetch("SELECT pg_sleep(30)")

        await expect_async(asyncpg.QueryCanceledError, sleeper())
    same(await connection.fetchval("SHOW statement_timeout"), "0")
    await connection.close()


async def check_listen():
    listener, sender = await connect(), await connect()
    heard = asyncio.Queue()
    await listener.add_listener("news", lambda _, pid, channel, payload: heard.put_nowait((channel, payload)))
    await sender.execute("SELECT pg_notify('news', $1)", "one")
    same(await asyncio.wait_for(heard.get(), 20), ("news", "one"))
    await listener.close()
    await sender.close()


async def check_settings():
    connections = [await connect() for _ in range(SERVER_CONNECTIONS * 2)]
    for number, connection in enumerate(connections):
        await connection.execute(f"SET work_mem = '{number + 1}MB'")
        await connection.fetchval("SELECT set_config('application_name', $1, false)", f"app {number}")
    for _ in range(3):
        found = await asyncio.gather(*(connection.fetchval("SHOW work_mem") for connection in connections))
        same(found, [f"{number + 1}MB" for number in range(len(connections))])
    await connections[0].execute("RESET ALL")
    same(await connections[0].fetchval("SHOW work_mem"), "4MB")
    for connection in connections:
        await connection.close()


async def check_large_value():
    value = bytes(range(256)) * (LARGE_BYTES // 256)
    connection = await connect()
    same(await connection.fetchval("SELECT $1::bytea", value) == value, True)
    await connection.close()


async def check_reconnect():
    connection, busy, killer = await connect(), await connect(), await connect()
    await connection.fetch("SELECT 1")
    await busy.execute("BEGIN")
    await killer.execute(TERMINATE_OTHERS)
    same(await connection.fetchval("SELECT 1"), 1)
    await expect_async((asyncpg.PostgresError, asyncpg.InterfaceError, OSError), busy.fetch("SELECT 1"))
    again = await connect()
    same(await again.fetchval("SELECT 2"), 2)
    for left in (connection, killer, again):
        await left.close()


program("asyncpg", asyncpg.__version__, {
    name.removeprefix("check_"): value for name, value in list(globals().items()) if name.startswith("check_")
})
