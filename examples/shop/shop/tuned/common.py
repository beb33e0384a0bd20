"""What many routes need."""

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from shop.http import HTTPError, Request
from shop.models import Customer, Token


def bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def optional_customer(session: Session, request: Request, *columns: ColumnElement) -> Row[Any] | None:
    """The columns that the route needs of whoever asks."""
    token = bearer(request)
    return token and session.execute(select(*columns).select_from(Customer).join(Token).where(Token.token == token)).first()


def current_customer(session: Session, request: Request, *columns: ColumnElement) -> Row[Any]:
    if customer := optional_customer(session, request, *columns):
        return customer
    raise HTTPError(401, "who are you?")
