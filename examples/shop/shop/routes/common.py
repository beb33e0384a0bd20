"""What many routes need."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.http import HTTPError, Request
from shop.models import Customer, Product, Setting, Token


def setting(session: Session, key: str) -> dict:
    return session.scalar(select(Setting.value).where(Setting.key == key))


def display_price(session: Session, price: Any) -> str:
    return f"{price} {setting(session, 'currency')['symbol']}"


def optional_customer(request: Request) -> Customer | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return request.session.scalar(select(Customer).join(Token).where(Token.token == token))


def current_customer(request: Request) -> Customer:
    if customer := optional_customer(request):
        return customer
    raise HTTPError(401, "who are you?")


def find_product(session: Session, id: int) -> Product:
    if product := session.get(Product, id):
        return product
    raise HTTPError(404, "product not found")


def order_lines(body: dict) -> dict[int, int]:
    """`{"items": [{"product_id": 1, "quantity": 2}, ...]}` as quantities by product."""
    lines: dict[int, int] = {}
    items = body.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= 50:
        raise HTTPError(400, "items must be a list of 1 to 50")
    for item in items:
        product, quantity = (item.get("product_id"), item.get("quantity")) if isinstance(item, dict) else (None, None)
        if type(product) is not int or type(quantity) is not int or not 1 <= quantity <= 100:
            raise HTTPError(400, "an item has a product_id and a quantity from 1 to 100")
        lines[product] = lines.get(product, 0) + quantity
    return lines
