"""The shop as it grew. FAULTS.md lists what is slow about it."""

from sqlalchemy import Engine, NullPool
from sqlalchemy.orm import Session

from shop.db import CONNECT
from shop.http import Request, Response, Router
from shop.outside import Outside
from shop.routes import carts, catalogue, categories, customers, orders, reports, stock


class App:
    #: No pool, and no prepared statements: PgBouncer was to do the pooling one day.
    ENGINE = {"poolclass": NullPool, "connect_args": {"prepare_threshold": None, **CONNECT}}

    def __init__(self, engine: Engine, outside: Outside):
        self.engine = engine
        self.outside = outside
        self.router = Router()
        for module in (carts, catalogue, categories, customers, orders, reports, stock):
            self.router.include(module.router)

    def handle(self, request: Request) -> Response:
        handler = self.router.find(request)
        request.app = self
        with Session(self.engine) as session:
            request.session = session
            answer = handler(request)
            return answer if isinstance(answer, Response) else Response.json(answer)

    def close(self) -> None:
        self.engine.dispose()
