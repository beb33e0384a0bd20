"""The engine, and the request's trace in a comment on each statement."""

import re
from contextvars import ContextVar

from sqlalchemy import Engine, create_engine, event

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

#: Days begin at midnight UTC, wherever the server stands.
CONNECT = {"application_name": "shop", "options": "-c timezone=UTC"}

#: The `traceparent` of the request that this thread works on.
trace: ContextVar[str | None] = ContextVar("trace", default=None)


def engine(url: str, *, trace_comments: bool = True, **options) -> Engine:
    engine = create_engine(dialect_url(url), **options)
    if trace_comments:
        event.listen(engine, "before_cursor_execute", add_comment, retval=True)
    return engine


def dialect_url(url: str) -> str:
    """`postgres://` and `postgresql://` mean psycopg 3 here."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url


def add_comment(_connection, _cursor, statement, parameters, _context, _executemany):
    if traceparent := trace.get():
        statement = f"{statement} /*traceparent='{traceparent}'*/"
    return statement, parameters


def checked_traceparent(header: str | None) -> str | None:
    """It ends up inside a comment, so nothing but a traceparent of version 00 may pass."""
    return header if header and TRACEPARENT.fullmatch(header) else None
