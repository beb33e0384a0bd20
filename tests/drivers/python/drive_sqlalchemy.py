"""Drives SQLAlchemy's asyncio engine through the proxy; see common.py. A fifth argument names the driver below it:
asyncpg, or psycopg (which needs SQLAlchemy 2)."""

import asyncio
import sys

import sqlalchemy
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from common import (
    DATABASE, HOST, LARGE_BYTES, PORT, ROUNDS, SERVER_CONNECTIONS, TASKS, TERMINATE_OTHERS, USER, VALUES, Skip,
    expect_async, program, same,
)

DRIVER = sys.argv[5]
URL = f"postgresql+{DRIVER}://{USER}@{HOST}:{PORT}/{DATABASE}"


def engine(**options):
    options.setdefault("poolclass", NullPool)
    return create_async_engine(URL, **options)


def autocommit():
    return engine(isolation_level="AUTOCOMMIT")


async def scalar(connection, statement, **values):
    return (await connection.execute(text(statement), values)).scalar()


async def check_connect():
    async with engine().connect() as connection:
        assert connection.dialect.server_version_info[0] >= 13
        same(await scalar(connection, "SHOW standard_conforming_strings"), "on")


async def check_simple():
    async with engine().connect() as connection:
        same((await connection.execute(text("SELECT 1 AS one, 'two' AS two"))).mappings().one(), {"one": 1, "two": "two"})


async def check_parameters():
    async with engine().connect() as connection:
        values = {"a": 42, "b": "grün 'x'"}
        row = (await connection.execute(text("SELECT CAST(:a AS int), CAST(:b AS text)"), values)).one()
        same(tuple(row), (42, "grün 'x'"))
        rows = (await connection.execute(text("SELECT g FROM generate_series(1, CAST(:n AS int)) g"), {"n": 5000})).all()
        same([row[0] for row in rows], list(range(1, 5001)))


async def check_prepared():
    maker = engine(poolclass=None, pool_size=SERVER_CONNECTIONS * 2)

    async def work(number):
        async with maker.connect() as connection:
            for turn in range(30):
                statement = f"SELECT {number} * 100 + {turn % 4} + CAST(:turn AS int)"
                same(await scalar(connection, statement, turn=turn), number * 100 + turn % 4 + turn)
                await connection.commit()

    await asyncio.gather(*(work(number) for number in range(SERVER_CONNECTIONS * 2)))
    await maker.dispose()


TABLE = sqlalchemy.Table(
    "things",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("name", sqlalchemy.Text),
    sqlalchemy.Column("price", sqlalchemy.Numeric(20, 4)),
    sqlalchemy.Column("made", sqlalchemy.DateTime(timezone=True)),
    sqlalchemy.Column("more", sqlalchemy.JSON),
)


async def check_types_text():
    raise Skip("the driver below it chooses the format")


async def check_types_binary():
    import decimal
    from common import NOW

    async with engine().begin() as connection:
        await connection.run_sync(TABLE.metadata.create_all)
        row = {"name": "grün", "price": decimal.Decimal("1.5000"), "made": NOW, "more": {"a": [1, None]}}
        key = (await connection.execute(TABLE.insert().values(**row))).inserted_primary_key[0]
        found = (await connection.execute(sqlalchemy.select(TABLE).where(TABLE.c.id == key))).mappings().one()
        same(dict(found), {"id": key, **row})
        # The inspector asks the catalogues, with arrays and many parameters.
        columns = await connection.run_sync(lambda sync: sqlalchemy.inspect(sync).get_columns("things"))
        same([column["name"] for column in columns], ["id", "name", "price", "made", "more"])


async def check_nulls():
    async with engine().connect() as connection:
        for kind, _ in VALUES:
            same(await scalar(connection, f"SELECT CAST(:value AS {kind})", value=None), None)


async def check_transactions():
    maker = engine()
    async with maker.begin() as connection:
        await connection.execute(text("CREATE TABLE ledger (who text, amount int)"))
    async with maker.connect() as connection, autocommit().connect() as other:
        insert = text("INSERT INTO ledger VALUES (:who, :amount)")
        await connection.execute(insert, {"who": "ada", "amount": 1})
        same(await scalar(other, "SELECT count(*) FROM ledger"), 0)
        await connection.rollback()
        await connection.execute(insert, {"who": "ada", "amount": 2})
        await connection.commit()
        same(await scalar(other, "SELECT sum(amount) FROM ledger"), 2)
    async with maker.connect() as connection:
        await connection.execution_options(isolation_level="SERIALIZABLE")
        same(await scalar(connection, "SHOW transaction_isolation"), "serializable")


async def check_savepoints():
    async with engine().connect() as connection:
        await connection.execute(text("CREATE TABLE saved (n int)"))
        await connection.execute(text("INSERT INTO saved VALUES (1)"))

        async def inner():
            async with connection.begin_nested():
                await connection.execute(text("INSERT INTO saved VALUES (2)"))
                await connection.execute(text("SELECT 1 / 0"))

        await expect_async(exc.DBAPIError, inner())
        await connection.execute(text("INSERT INTO saved VALUES (3)"))
        await connection.commit()
        rows = (await connection.execute(text("SELECT n FROM saved ORDER BY n"))).all()
        same([row[0] for row in rows], [1, 3])


async def check_errors():
    async with engine().connect() as connection:
        await expect_async(exc.ProgrammingError, scalar(connection, "SELECT * FROM nowhere"))
        await expect_async(exc.DBAPIError, scalar(connection, "SELECT 1"))
        await connection.rollback()
        same(await scalar(connection, "SELECT 3"), 3)


async def check_pipelining():
    async with engine().begin() as connection:
        await connection.execute(text("CREATE TABLE piped (n int)"))
        rows = [{"n": number} for number in range(2000)]
        await connection.execute(text("INSERT INTO piped VALUES (:n)"), rows)
        same(await scalar(connection, "SELECT sum(n) FROM piped"), 1999 * 1000)


async def check_copy():
    raise Skip("the driver below it has it")


async def check_row_limit():
    async with engine().connect() as connection:
        result = await connection.stream(
            text("SELECT g FROM generate_series(1, 1000) g"), execution_options={"yield_per": 70}
        )
        total = 0
        async for row in result:
            total += row[0]
        same(total, 500_500)


async def check_concurrency():
    maker = engine(poolclass=None, pool_size=20, max_overflow=10, pool_pre_ping=True)
    async with maker.begin() as connection:
        await connection.execute(text("CREATE TABLE counter (n int)"))
        await connection.execute(text("INSERT INTO counter VALUES (0)"))

    async def work(number):
        for turn in range(ROUNDS):
            async with maker.begin() as connection:
                await connection.execute(text("UPDATE counter SET n = n + 1"))
                statement = "SELECT CAST(:a AS int) + CAST(:b AS int)"
                same(await scalar(connection, statement, a=number, b=turn), number + turn)

    await asyncio.gather(*(work(number) for number in range(TASKS)))
    async with maker.connect() as connection:
        same(await scalar(connection, "SELECT n FROM counter"), TASKS * ROUNDS)
    await maker.dispose()


async def check_cancel():
    maker = engine(poolclass=None, pool_size=1, max_overflow=0)

    async def sleeper():
        async with maker.connect() as connection:
            await scalar(connection, "SELECT pg_sleep(30)")

    task = asyncio.ensure_future(sleeper())
    await asyncio.sleep(0.3)
    task.cancel()
    await expect_async(asyncio.CancelledError, task)
    async with maker.connect() as connection:
        same(await asyncio.wait_for(scalar(connection, "SELECT 5"), 20), 5)
    await maker.dispose()


async def check_timeout():
    async with engine().connect() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 100"))
        await expect_async(exc.DBAPIError, scalar(connection, "SELECT pg_sleep(30)"))
        await connection.rollback()
        same(await scalar(connection, "SHOW statement_timeout"), "0")


async def check_listen():
    raise Skip("the driver below it has it")


async def check_settings():
    maker = autocommit()
    connections = [await maker.connect() for _ in range(SERVER_CONNECTIONS * 2)]
    for number, connection in enumerate(connections):
        await connection.execute(text(f"SET work_mem = '{number + 1}MB'"))
    for number, connection in enumerate(connections * 2):
        same(await scalar(connection, "SHOW work_mem"), f"{number % len(connections) + 1}MB")
    for connection in connections:
        await connection.close()


async def check_large_value():
    value = bytes(range(256)) * (LARGE_BYTES // 256)
    async with engine().connect() as connection:
        same(await scalar(connection, "SELECT CAST(:value AS bytea)", value=value) == value, True)


async def check_reconnect():
    maker = engine(poolclass=None, pool_size=2, pool_pre_ping=True)
    async with maker.connect() as connection:
        await scalar(connection, "SELECT 1")
        async with autocommit().connect() as killer:
            await killer.execute(text(TERMINATE_OTHERS))
        await expect_async(exc.DBAPIError, scalar(connection, "SELECT 1"))
    async with maker.connect() as connection:
        same(await scalar(connection, "SELECT 2"), 2)
    await maker.dispose()


program(f"sqlalchemy+{DRIVER}", sqlalchemy.__version__, {
    name.removeprefix("check_"): value for name, value in list(globals().items()) if name.startswith("check_")
})
