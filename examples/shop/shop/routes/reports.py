"""What the front page and the managers look at."""

from datetime import date

from sqlalchemy import Date, cast, func, select

from shop.http import HTTPError, Request, Router
from shop.models import Order, OrderItem, Product

router = Router()


@router.route("GET", "/bestsellers")
def bestsellers(request: Request):
    sold = func.sum(OrderItem.quantity)
    query = select(Product.id, Product.name, sold).join(OrderItem, OrderItem.product_id == Product.id)
    query = query.group_by(Product.id, Product.name).order_by(sold.desc(), Product.id).limit(10)
    return [{"id": id, "name": name, "sold": count} for id, name, count in request.session.execute(query)]


@router.route("GET", "/reports/daily")
def daily(request: Request):
    try:
        day = date.fromisoformat(request.text("day"))
    except ValueError as error:
        raise HTTPError(400, "day must be a date such as 2025-06-30") from error
    query = select(func.count(), func.coalesce(func.sum(Order.total), 0)).where(cast(Order.placed_at, Date) == day)
    orders, turnover = request.session.execute(query).one()
    return {"day": day.isoformat(), "orders": orders, "turnover": turnover}


@router.route("GET", "/reports/largest-orders")
def largest_orders(request: Request):
    query = select(Order.number, Order.total, Order.status, Order.shipping).order_by(Order.total.desc(), Order.id.desc())
    rows = request.session.execute(query).all()
    return [{"number": row.number, "total": row.total, "city": row.shipping.get("city")} for row in rows[:50]]
