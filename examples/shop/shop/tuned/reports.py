"""What the front page and the managers look at."""

from datetime import date, datetime, timedelta, timezone
from functools import partial

from sqlalchemy import func, select

from shop.http import HTTPError, Request, Response, Router
from shop.models import Order, OrderItem, Product

router = Router()


@router.route("GET", "/bestsellers")
def bestsellers(request: Request):
    """As of a minute ago at most."""
    response = Response.json(request.app.cache.get("bestsellers", 60, partial(load_bestsellers, request.app)))
    response.headers["cache-control"] = "public, max-age=60"
    return response


def load_bestsellers(app) -> list[dict]:
    sold = func.sum(OrderItem.quantity).label("sold")
    top = select(OrderItem.product_id, sold).group_by(OrderItem.product_id).order_by(sold.desc(), OrderItem.product_id).limit(10).subquery()
    query = select(Product.id, Product.name, top.c.sold).join(top, top.c.product_id == Product.id).order_by(top.c.sold.desc(), Product.id)
    with app.autocommit() as session:
        return [dict(row) for row in session.execute(query).mappings()]


@router.route("GET", "/reports/daily")
def daily(request: Request):
    try:
        day = date.fromisoformat(request.text("day"))
    except ValueError as error:
        raise HTTPError(400, "day must be a date such as 2025-06-30") from error
    start = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    query = select(func.count(), func.coalesce(func.sum(Order.total), 0))
    query = query.where(Order.placed_at >= start, Order.placed_at < start + timedelta(days=1))
    with request.app.autocommit() as session:
        orders, turnover = session.execute(query).one()
    return {"day": day.isoformat(), "orders": orders, "turnover": turnover}


@router.route("GET", "/reports/largest-orders")
def largest_orders(request: Request):
    query = select(Order.number, Order.total, Order.shipping["city"].astext.label("city"))
    with request.app.autocommit() as session:
        return [dict(row) for row in session.execute(query.order_by(Order.total.desc(), Order.id.desc()).limit(50)).mappings()]
