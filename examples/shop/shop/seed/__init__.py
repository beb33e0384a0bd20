"""`python -m shop seed`: tables and made-up data, always the same."""

import sys
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from random import Random

import psycopg

from shop.seed.rows import Rows, Sizes

SCALES = {
    "small": Sizes(products=600, brands=30, customers=500, orders=1_500, reviews=3_000, carts=2_000, page_views=1_000),
    "demo": Sizes(products=20_000, brands=150, customers=20_000, orders=60_000, reviews=80_000, carts=200_000, page_views=50_000),
    # Where what an index costs is felt.
    "grown": Sizes(products=100_000, brands=150, customers=80_000, orders=60_000, reviews=80_000, carts=600_000, page_views=50_000),
}
CHUNK_ROWS = 1_000
FOLDER = Path(__file__).parent


class Refused(Exception):
    pass


def run(url: str, sizes: Sizes, *, tuned: bool, replace: bool) -> None:
    began = time.monotonic()
    rows = Rows(sizes)
    tables = {
        "settings": rows.settings,
        "counters": rows.counters,
        "customers": rows.customers,
        "tokens": rows.tokens,
        "categories": rows.category_rows,
        "brands": rows.brands,
        "products": rows.products,
        "warehouses": rows.warehouses,
        "stock_levels": rows.stock_levels,
        "reviews": rows.reviews,
        "coupons": rows.coupons,
        "orders": rows.orders,
        "order_items": rows.order_items,
        "carts": rows.carts,
        "page_views (product_id, customer_id, seen_at)": rows.page_views,
    }
    with psycopg.connect(libpq_url(url), autocommit=True, application_name="shop seed") as connection:
        if not replace and connection.execute("SELECT to_regclass('products')").fetchone() != (None,):
            raise Refused("there is a table `products` already; with --replace it would be replaced")
        script(connection, "tables.sql")
        if tuned:
            connection.execute("CREATE TABLE loyalty (customer_id uuid, points integer NOT NULL)")
            tables["loyalty"] = rows.loyalty
        for table, make in tables.items():
            copy(connection, table, make(Random(table)))
        script(connection, "keys.sql")
        script(connection, "tuned.sql" if tuned else "plain.sql")
        for table in ("categories", "products", "reviews", "orders", "order_items"):
            connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
        # `page_views` has never been analysed, unless the team has learnt.
        analysed = [table for table in tables if tuned or not table.startswith("page_views")]
        names = ", ".join(table.split(" ")[0] for table in analysed)
        connection.execute(f"VACUUM (ANALYZE) {names}, cart_items")
        if tuned:
            # What was deleted is no longer there for anybody: table and indexes are built anew.
            connection.execute("VACUUM (FULL, ANALYZE) carts")
    print(f"seeded {sizes.products} products and {sizes.orders} orders in {time.monotonic() - began:.1f} s", file=sys.stderr)


def copy(connection: psycopg.Connection, table: str, rows: Iterable[str]) -> None:
    rows = iter(rows)
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as sink:
        while chunk := list(islice(rows, CHUNK_ROWS)):
            sink.write("\n".join(chunk) + "\n")


def script(connection: psycopg.Connection, name: str) -> None:
    # Without parameters, psycopg sends all statements of a text at once.
    connection.execute((FOLDER / name).read_text())


def libpq_url(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
