"""Orders."""

from decimal import Decimal

from sqlalchemy import BigInteger, cast, or_, select, update

from shop.http import HTTPError, Request, Response, Router
from shop.models import Counter, Customer, Order, OrderItem, Product, StockLevel
from shop.outside import invoice_pdf
from shop.routes.common import current_customer, display_price, order_lines

router = Router()


@router.route("GET", "/orders")
def orders(request: Request):
    """The ten newest orders of whoever asks."""
    query = select(Order).where(Order.customer_id == current_customer(request).id)
    query = query.order_by(Order.placed_at.desc(), Order.id.desc()).limit(10)
    return [details(request, order) for order in request.session.scalars(query)]


def details(request: Request, order: Order) -> dict:
    if order.customer_id != current_customer(request).id:
        raise HTTPError(403, "that is not your order")
    return {
        "number": order.number,
        "status": order.status,
        "total": display_price(request.session, order.total),
        "placed_at": order.placed_at.isoformat(),
        "items": [
            {"product": item.product.name, "quantity": item.quantity, "unit_price": item.unit_price}
            for item in order.items
        ],
    }


@router.route("GET", "/orders/by-number/{number}")
def by_number(request: Request):
    """For support. Callers leave zeros out or add some, so numbers are compared as numbers."""
    query = select(Order).where(cast(Order.number, BigInteger) == request.number("number", high=10**12 - 1))
    order = request.session.scalar(query)
    if order is None:
        raise HTTPError(404, "order not found")
    return {"number": order.number, "status": order.status, "total": order.total, "customer": str(order.customer_id)}


@router.route("GET", "/orders/find")
def find(request: Request):
    """For support: orders by their number or by their customer's address."""
    q = request.text("q")
    query = select(Order.number, Order.status, Customer.name).join(Customer)
    query = query.where(or_(Order.number == q, Customer.email == q)).order_by(Order.id).limit(50)
    return [{"number": number, "status": status, "customer": name} for number, status, name in request.session.execute(query)]


@router.route("POST", "/orders")
def place(request: Request):
    """Places an order and takes the money for it."""
    session, outside = request.session, request.app.outside
    customer = current_customer(request)
    lines = order_lines(request.json())
    number = session.scalar(update(Counter).where(Counter.name == "order").values(value=Counter.value + 1).returning(Counter.value))
    order = Order(number=str(number), customer_id=customer.id, status="placed", total=Decimal(0), shipping={})
    session.add(order)
    for product_id, quantity in lines.items():
        product = session.get(Product, product_id)
        if product is None:
            raise HTTPError(404, "product not found")
        take_from_stock(session, product_id, quantity)
        order.total += product.price * quantity
        order.items.append(OrderItem(product_id=product_id, quantity=quantity, unit_price=product.price))
        session.flush()
    outside.call("payments", order=order.number, amount=order.total)
    session.commit()
    pdf = invoice_pdf(order.number, [f"{item.quantity} × {item.unit_price}" for item in order.items])
    outside.call("mail", to=customer.email, invoice_bytes=len(pdf))
    return Response.json({"number": order.number, "status": order.status, "total": order.total}, 201)


def take_from_stock(session, product_id: int, quantity: int) -> None:
    query = select(StockLevel).where(StockLevel.product_id == product_id, StockLevel.quantity >= quantity)
    level = session.scalars(query.order_by(StockLevel.warehouse_code).with_for_update()).first()
    if level is None:
        raise HTTPError(409, f"product {product_id} is out of stock")
    level.quantity -= quantity
