"""Customers, and what support asks about them."""

from sqlalchemy import func, select

from shop.http import HTTPError, Request, Router
from shop.models import Customer, Order
from shop.routes.common import current_customer

router = Router()


@router.route("GET", "/account")
def account(request: Request):
    customer = current_customer(request)
    points = request.app.outside.call("loyalty", customer=str(customer.id))["points"]
    orders = request.session.scalar(select(func.count()).where(Order.customer_id == customer.id))
    return {"name": customer.name, "email": customer.email, "points": points, "orders": orders}


@router.route("GET", "/customers/by-email")
def by_email(request: Request):
    email = request.text("email")
    customer = request.session.scalar(select(Customer).where(func.lower(Customer.email) == email.lower()))
    if customer is None:
        raise HTTPError(404, "customer not found")
    return {"id": str(customer.id), "name": customer.name, "email": customer.email, "phone": customer.phone}
