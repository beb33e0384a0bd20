"""A pool, a session only where one is needed and only for as long, background jobs, validators, compression."""

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from shop.db import CONNECT
from shop.http import HTTPError, Request, Response, Router
from shop.models import Coupon, Setting
from shop.outside import Outside
from shop.tuned import carts, catalogue, categories, customers, orders, reports, stock
from shop.tuned.background import Cache, Jobs, Views

GZIP_BYTES_MIN = 1_000


class TunedApp:
    ENGINE = {
        "pool_size": 10,
        "max_overflow": 0,
        "pool_timeout": 10,
        "pool_pre_ping": False,
        "connect_args": CONNECT,
    }

    def __init__(self, engine: Engine, outside: Outside):
        self.engine = engine
        # Plain reads need no BEGIN and no ROLLBACK around them.
        self.reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.outside = outside
        self.jobs = Jobs()
        self.views = Views(engine)
        self.cache = Cache()
        self.router = Router()
        for module in (carts, catalogue, categories, customers, orders, reports, stock):
            self.router.include(module.router)
        carts.ask_carrier_ahead(self)

    def handle(self, request: Request) -> Response:
        handler = self.router.find(request)
        request.app = self
        answer = handler(request)
        response = answer if isinstance(answer, Response) else Response.json(answer)
        return packed(request, response) if request.method == "GET" else response

    @contextmanager
    def autocommit(self) -> Iterator[Session]:
        with Session(self.reader) as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def setting(self, key: str) -> dict:
        return self.cache.get("settings", 60, self.load_settings)[key]

    def load_settings(self) -> dict[str, dict]:
        with self.autocommit() as session:
            return dict(session.execute(select(Setting.key, Setting.value)).all())

    def coupon_percent(self, code: str) -> int:
        percents = self.cache.get("coupons", 60, partial(load_coupons, self))
        if code not in percents:
            raise HTTPError(404, "coupon not found")
        return percents[code]

    def display_price(self, price: object) -> str:
        return f"{price} {self.setting('currency')['symbol']}"

    def close(self) -> None:
        self.jobs.close()
        self.views.close()
        self.engine.dispose()


def load_coupons(app: TunedApp) -> dict[str, int]:
    with app.autocommit() as session:
        return dict(session.execute(select(Coupon.code, Coupon.percent)).all())


def packed(request: Request, response: Response) -> Response:
    """With a validator, and compressed for whoever takes it."""
    tag = f'"{hashlib.blake2b(response.body, digest_size=12).hexdigest()}"'
    response.headers |= {"etag": tag, "vary": "accept-encoding, authorization"}
    response.headers.setdefault("cache-control", "no-cache")
    if tag in request.headers.get("if-none-match", ""):
        return Response(b"", 304, {name: value for name, value in response.headers.items() if name != "content-type"})
    if len(response.body) >= GZIP_BYTES_MIN and "gzip" in request.headers.get("accept-encoding", ""):
        response.body = gzip.compress(response.body, compresslevel=5, mtime=0)
        response.headers["content-encoding"] = "gzip"
        response.headers["etag"] = f"W/{tag}"
    return response
