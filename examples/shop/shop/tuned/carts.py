"""Carts, coupons, shipping."""

from functools import partial
from uuid import uuid4

from sqlalchemy import func, insert, select, update

from shop.http import HTTPError, Request, Response, Router
from shop.models import Cart, CartItem, Coupon, Customer, Product
from shop.routes.carts import COUNTRIES
from shop.routes.common import order_lines
from shop.tuned.common import current_customer

USUAL_KG = range(1, 6)

router = Router()


@router.route("POST", "/carts")
def create(request: Request):
    app, lines = request.app, order_lines(request.json())
    cart = uuid4()
    with app.transaction() as session:
        customer = current_customer(session, request, Customer.id)
        query = select(Product.id, Product.name, Product.price).where(Product.id == func.any(list(lines)))
        found = session.execute(query.order_by(Product.id)).all()
        if len(found) < len(lines):
            raise HTTPError(404, "product not found")
        session.execute(insert(Cart).values(id=cart, customer_id=customer.id))
        items = [{"cart_id": cart, "product_id": product.id, "quantity": lines[product.id]} for product in found]
        session.execute(insert(CartItem).values(items))
    answer = {
        "cart": str(cart),
        "items": [{"product_id": product.id, "name": product.name, "quantity": lines[product.id]} for product in found],
        "total": app.display_price(sum(product.price * lines[product.id] for product in found)),
    }
    return Response.json(answer, 201)


@router.route("POST", "/coupons/{code}/redeem")
def redeem(request: Request):
    """One statement: the row's lock is all the isolation that a count needs."""
    percent = request.app.coupon_percent(request.params["code"])
    with request.app.autocommit() as session:
        session.execute(update(Coupon).where(Coupon.code == request.params["code"]).values(redeemed=Coupon.redeemed + 1))
    return {"percent": percent}


@router.route("GET", "/shipping")
def shipping(request: Request):
    country, kg = request.text("country"), request.number("kg", high=30)
    if country not in COUNTRIES:
        raise HTTPError(400, "we do not ship there")
    return quote(request.app, country, kg)


def quote(app, country: str, kg: int) -> dict:
    """The carrier changes its prices once a year: an hour old is new enough."""
    return app.cache.get(f"parcel of {kg} kg to {country}", 3600, partial(app.outside.call, "carrier", country=country, kg=kg))


def ask_carrier_ahead(app) -> None:
    """The usual parcels' prices are known before anybody asks."""
    for country in COUNTRIES:
        for kg in USUAL_KG:
            app.jobs.add(partial(quote, app, country, kg))
