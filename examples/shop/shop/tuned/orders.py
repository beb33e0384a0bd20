"""Orders."""

from decimal import Decimal
from functools import partial

from sqlalchemy import Sequence, cast, func, insert, select, text, union_all
from sqlalchemy.orm import Session

from shop.http import HTTPError, Request, Response, Router
from shop.models import Customer, Order, OrderItem, Product
from shop.outside import invoice_pdf
from shop.routes.common import order_lines
from shop.tuned.common import current_customer

#: Takes all lines of an order at once, in the order of their products, so that no two orders wait for each other in a circle.
TAKE = text("""
    WITH wanted AS (SELECT * FROM unnest(CAST(:products AS bigint[]), CAST(:quantities AS integer[])) AS w (product_id, quantity)),
    found AS (
        SELECT DISTINCT ON (level.product_id) level.product_id, level.warehouse_code, wanted.quantity
        FROM stock_levels AS level JOIN wanted USING (product_id)
        WHERE level.quantity >= wanted.quantity ORDER BY level.product_id, level.warehouse_code
    ),
    locked AS (
        SELECT level.product_id, level.warehouse_code, found.quantity
        FROM stock_levels AS level JOIN found USING (product_id, warehouse_code)
        ORDER BY level.product_id FOR UPDATE OF level
    )
    UPDATE stock_levels AS level SET quantity = level.quantity - locked.quantity FROM locked
    WHERE (level.product_id, level.warehouse_code) = (locked.product_id, locked.warehouse_code) AND level.quantity >= locked.quantity
    RETURNING level.product_id
""")
NUMBERS = Sequence("order_numbers")

router = Router()


@router.route("GET", "/orders")
def orders(request: Request):
    """The ten newest orders of whoever asks, with their items in one more statement."""
    app = request.app
    with app.autocommit() as session:
        customer = current_customer(session, request, Customer.id)
        query = select(Order.id, Order.number, Order.status, Order.total, Order.placed_at).where(Order.customer_id == customer.id)
        newest = session.execute(query.order_by(Order.placed_at.desc(), Order.id.desc()).limit(10)).all()
        items = items_of(session, [order.id for order in newest])
    return [
        {
            "number": order.number,
            "status": order.status,
            "total": app.display_price(order.total),
            "placed_at": order.placed_at.isoformat(),
            "items": items.get(order.id, []),
        }
        for order in newest
    ]


def items_of(session: Session, orders: list[int]) -> dict[int, list[dict]]:
    query = select(OrderItem.order_id, Product.name, OrderItem.quantity, OrderItem.unit_price).join(Product)
    query = query.where(OrderItem.order_id == func.any(orders)).order_by(OrderItem.id)
    found: dict[int, list[dict]] = {}
    for order, name, quantity, price in session.execute(query):
        found.setdefault(order, []).append({"product": name, "quantity": quantity, "unit_price": price})
    return found


@router.route("GET", "/orders/by-number/{number}")
def by_number(request: Request):
    """For support. Zeros in front are taken off here, so that the index serves."""
    number = str(request.number("number", high=10**12 - 1))
    query = select(Order.number, Order.status, Order.total, Order.customer_id.label("customer")).where(Order.number == number)
    with request.app.autocommit() as session:
        row = session.execute(query).first()
    if row is None:
        raise HTTPError(404, "order not found")
    return dict(row._mapping)


@router.route("GET", "/orders/find")
def find(request: Request):
    """For support: by number or by address, each by its own index."""
    q = request.text("q")
    columns = (Order.id, Order.number, Order.status, Customer.name.label("customer"))
    by_number = select(*columns).join(Customer).where(Order.number == q)
    by_email = select(*columns).join(Customer).where(func.lower(Customer.email) == q.lower(), Customer.email == q)
    both = union_all(by_number, by_email).subquery()
    with request.app.autocommit() as session:
        rows = session.execute(select(both.c.number, both.c.status, both.c.customer).order_by(both.c.id).limit(50))
        return [dict(row) for row in rows.mappings()]


@router.route("POST", "/orders")
def place(request: Request):
    """Places an order. A job takes the money and sends the invoice."""
    app, lines = request.app, order_lines(request.json())
    with app.transaction() as session:
        customer = current_customer(session, request, Customer.id, Customer.email)
        prices = dict(session.execute(select(Product.id, Product.price).where(Product.id == func.any(list(lines)))).all())
        if len(prices) < len(lines):
            raise HTTPError(404, "product not found")
        number, total = write_order(session, customer.id, lines, prices)
        take_from_stock(session, lines)
    invoice = [f"{quantity} × {prices[product]}" for product, quantity in lines.items()]
    app.jobs.add(partial(settle, app, number, total, customer.email, invoice))
    return Response.json({"number": number, "status": "placed", "total": total}, 201)


def write_order(session: Session, customer, lines: dict[int, int], prices: dict[int, Decimal]) -> tuple[str, Decimal]:
    total = sum((prices[product] * quantity for product, quantity in lines.items()), Decimal(0))
    number = cast(NUMBERS.next_value(), Order.number.type)
    order = {"number": number, "customer_id": customer, "status": "placed", "total": total, "shipping": {}}
    written = session.execute(insert(Order).values(order).returning(Order.id, Order.number)).one()
    items = [
        {"order_id": written.id, "product_id": product, "quantity": quantity, "unit_price": prices[product]}
        for product, quantity in lines.items()
    ]
    session.execute(insert(OrderItem).values(items))
    return written.number, total


def take_from_stock(session: Session, lines: dict[int, int]) -> None:
    """Last in the transaction, since popular products' rows are what orders wait for."""
    taken = set(session.scalars(TAKE, {"products": list(lines), "quantities": list(lines.values())}))
    for product in lines:
        if product not in taken:
            raise HTTPError(409, f"product {product} is out of stock")


def settle(app, number: str, total: Decimal, email: str, lines: list[str]) -> None:
    """A shop that must not lose a payment when the process dies would keep these jobs in a table."""
    app.outside.call("payments", order=number, amount=total)
    app.outside.call("mail", to=email, invoice_bytes=len(invoice_pdf(number, lines)))
