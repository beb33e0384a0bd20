"""The warehouses' side."""

from sqlalchemy import func, select, text

from shop.http import HTTPError, Request, Router
from shop.models import Brand, Product, Warehouse
from shop.routes.common import order_lines

#: All rows at once, locked in one order.
DELIVER = text("""
    WITH brought AS (
        SELECT level.product_id, b.quantity
        FROM unnest(CAST(:products AS bigint[]), CAST(:quantities AS integer[])) AS b (product_id, quantity)
        JOIN stock_levels AS level ON level.product_id = b.product_id AND level.warehouse_code = :warehouse
        ORDER BY level.product_id FOR UPDATE OF level
    )
    UPDATE stock_levels AS level SET quantity = level.quantity + brought.quantity FROM brought
    WHERE level.product_id = brought.product_id AND level.warehouse_code = :warehouse
""")
REPRICE = text("""
    UPDATE products SET price = new.price
    FROM unnest(CAST(:ids AS bigint[]), CAST(:percents AS numeric[])) AS given (id, percent),
        LATERAL (SELECT round(p.price) + given.percent / 100 - 1 AS price FROM products AS p WHERE p.id = given.id) AS new
    WHERE products.id = given.id AND products.price <> new.price
""")

router = Router()


@router.route("POST", "/warehouses/{code}/deliveries")
def deliver(request: Request):
    code, lines = request.params["code"], order_lines(request.json())
    products = sorted(lines)
    with request.app.transaction() as session:
        if session.scalar(select(Warehouse.code).where(Warehouse.code == code)) is None:
            raise HTTPError(404, "warehouse not found")
        parameters = {"products": products, "quantities": [lines[id] for id in products], "warehouse": code}
        if session.execute(DELIVER, parameters).rowcount < len(lines):
            raise HTTPError(404, "product not found")
    return {"warehouse": code, "products": len(lines)}


@router.route("POST", "/brands/{code}/reprice")
def reprice(request: Request):
    """A job asks for the rates, and then sets all prices in one short transaction."""
    app, code = request.app, request.params["code"]
    count = select(func.count(Product.id)).where(Product.brand_code == code).scalar_subquery()
    with app.autocommit() as session:
        products = session.scalar(select(count).select_from(Brand).where(Brand.code == code))
    if products is None:
        raise HTTPError(404, "brand not found")
    app.jobs.add(lambda: set_prices(app, code))
    return {"repriced": products}


def set_prices(app, code: str) -> None:
    with app.autocommit() as session:
        products = session.execute(select(Product.id, Product.sku).where(Product.brand_code == code).order_by(Product.id)).all()
    percents = [app.outside.call("rates", sku=product.sku)["percent"] for product in products]
    with app.transaction() as session:
        session.execute(REPRICE, {"ids": [product.id for product in products], "percents": percents})
