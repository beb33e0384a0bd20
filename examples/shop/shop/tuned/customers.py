"""Customers, and what support asks about them."""

from sqlalchemy import Column, Integer, MetaData, Table, Uuid, func, select

from shop.http import HTTPError, Request, Router
from shop.models import Customer, Order
from shop.tuned.common import current_customer

#: The loyalty service's points, as of last night.
LOYALTY = Table("loyalty", MetaData(), Column("customer_id", Uuid, primary_key=True), Column("points", Integer))

router = Router()


@router.route("GET", "/account")
def account(request: Request):
    points = select(LOYALTY.c.points).where(LOYALTY.c.customer_id == Customer.id).scalar_subquery()
    orders = select(func.count()).where(Order.customer_id == Customer.id).scalar_subquery()
    with request.app.autocommit() as session:
        customer = current_customer(session, request, Customer.name, Customer.email, points.label("points"), orders.label("orders"))
    return dict(customer._mapping)


@router.route("GET", "/customers/by-email")
def by_email(request: Request):
    email = request.text("email").lower()
    query = select(Customer.id, Customer.name, Customer.email, Customer.phone).where(func.lower(Customer.email) == email)
    with request.app.autocommit() as session:
        row = session.execute(query).first()
    if row is None:
        raise HTTPError(404, "customer not found")
    return dict(row._mapping)
