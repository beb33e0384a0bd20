"""Carts, coupons, shipping."""

from uuid import uuid4

from sqlalchemy.exc import OperationalError

from shop.http import HTTPError, Request, Response, Router
from shop.models import Cart, CartItem, Coupon
from shop.routes.common import current_customer, display_price, find_product, order_lines

COUNTRIES = ("AT", "DE", "DK", "FR", "IT", "NL", "PL", "SE")
TRIES = 20

router = Router()


@router.route("POST", "/carts")
def create(request: Request):
    session = request.session
    lines = order_lines(request.json())
    cart = Cart(id=uuid4(), customer_id=current_customer(request).id)
    session.add(cart)
    session.flush()
    for product_id, quantity in lines.items():
        product = find_product(session, product_id)
        session.add(CartItem(cart_id=cart.id, product_id=product.id, quantity=quantity))
        session.flush()
    session.commit()
    return Response.json(shown(session, cart), 201)


def shown(session, cart: Cart) -> dict:
    total = sum(item.product.price * item.quantity for item in cart.items)
    return {
        "cart": str(cart.id),
        "items": [{"product_id": item.product_id, "name": item.product.name, "quantity": item.quantity} for item in cart.items],
        "total": display_price(session, total),
    }


@router.route("POST", "/coupons/{code}/redeem")
def redeem(request: Request):
    """Counts how often a coupon was redeemed. Not one may be lost, hence the isolation level."""
    session = request.session
    for _ in range(TRIES):
        session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        try:
            coupon = session.get(Coupon, request.params["code"])
            if coupon is None:
                raise HTTPError(404, "coupon not found")
            coupon.redeemed += 1
            percent = coupon.percent
            session.commit()
            return {"percent": percent}
        except OperationalError:
            session.rollback()
    raise HTTPError(503, "try again later")


@router.route("GET", "/shipping")
def shipping(request: Request):
    """What the carrier wants for a parcel, asked anew each time."""
    country, kg = request.text("country"), request.number("kg", high=30)
    if country not in COUNTRIES:
        raise HTTPError(400, "we do not ship there")
    return request.app.outside.call("carrier", country=country, kg=kg)
