"""The warehouses' side."""

from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import select, update

from shop.http import HTTPError, Request, Router
from shop.models import Brand, Product, StockLevel, Warehouse
from shop.routes.common import order_lines

router = Router()


@router.route("POST", "/warehouses/{code}/deliveries")
def deliver(request: Request):
    """Adds what a lorry brought to the stock."""
    session = request.session
    warehouse = session.get(Warehouse, request.params["code"])
    if warehouse is None:
        raise HTTPError(404, "warehouse not found")
    lines = order_lines(request.json())
    for product_id, quantity in sorted(lines.items()):
        changed = session.execute(
            update(StockLevel)
            .where(StockLevel.product_id == product_id, StockLevel.warehouse_code == warehouse.code)
            .values(quantity=StockLevel.quantity + quantity)
        )
        if changed.rowcount == 0:
            raise HTTPError(404, "product not found")
    session.commit()
    return {"warehouse": warehouse.code, "products": len(lines)}


@router.route("POST", "/brands/{code}/reprice")
def reprice(request: Request):
    """Sets the prices of a brand by the rates of the day. In one transaction, so that all change or none."""
    session = request.session
    if session.get(Brand, request.params["code"]) is None:
        raise HTTPError(404, "brand not found")
    products = session.scalars(select(Product).where(Product.brand_code == request.params["code"]).order_by(Product.id)).all()
    for product in products:
        percent = request.app.outside.call("rates", sku=product.sku)["percent"]
        # One per cent up at most; prices do not run away however often this is called.
        product.price = product.price.to_integral_value(ROUND_HALF_UP) + Decimal(percent) / 100 - 1
        session.flush()
    session.commit()
    return {"repriced": len(products)}
