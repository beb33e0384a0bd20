"""Products and their reviews."""

import threading
from contextvars import copy_context

from sqlalchemy import Integer, cast, func, select, text
from sqlalchemy.orm import Session

from shop.http import HTTPError, Request, Response, Router
from shop.models import Category, OrderItem, PageView, Product, Review, StockLevel
from shop.routes.common import current_customer, display_price, find_product, optional_customer, setting

PAGE = 24
PAGE_MAX = 1_000

router = Router()


@router.route("GET", "/products")
def products(request: Request):
    """A page of products, the newest first."""
    session = request.session
    page = request.number("page", 1, high=PAGE_MAX)
    query = select(Product).order_by(Product.created_at.desc(), Product.id.desc())
    if slug := request.query.get("category"):
        query = query.join(Category).where(Category.slug == slug)
    found = session.scalars(query.limit(PAGE).offset((page - 1) * PAGE)).all()
    return {"page": page, "products": [card(session, product) for product in found]}


def card(session: Session, product: Product) -> dict:
    return {
        "id": product.id,
        "name": product.name,
        "price": display_price(session, product.price),
        "brand": product.brand.name,
        "in_stock": sum(level.quantity for level in product.stock) > 0,
    }


@router.route("GET", "/products/{id}")
def product(request: Request):
    session = request.session
    product = find_product(session, request.number("id"))
    answer = {
        "id": product.id,
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "greeting": greeting(request),
        "price": display_price(session, product.price),
        "vat": display_price(session, vat(session, product)),
        "shipping": shipping_note(session, product),
        "brand": {"code": product.brand.code, "name": product.brand.name},
        "path": path(product.category),
        "stock": {level.warehouse.city: level.quantity for level in product.stock},
        "reviews": session.scalar(select(func.count()).where(Review.product_id == product.id, Review.approved)),
        "rating": rating(session, product),
        "latest_reviews": latest_reviews(session, product),
        "bought_with": bought_with(session, product),
    }
    customer = optional_customer(request)
    session.add(PageView(product_id=product.id, customer_id=customer.id if customer else None))
    session.commit()
    return answer


def greeting(request: Request) -> str:
    customer = optional_customer(request)
    shop = setting(request.session, "shop")["name"]
    if customer and (language := optional_customer(request).preferences["language"]) != "en":
        return f"{shop} ({language}): {customer.name}"
    return f"{shop}: {customer.name if customer else 'welcome'}"


def vat(session: Session, product: Product) -> str:
    percent = setting(session, "vat")["percent"]
    return f"{product.price * percent / (100 + percent):.2f}"


def shipping_note(session: Session, product: Product) -> str:
    limit = setting(session, "shipping")["free_from"]
    if product.price >= limit:
        return "free"
    return f"free from {display_price(session, limit)}"


def path(category: Category) -> list[str]:
    """The names from the root down."""
    names = []
    while category:
        names.append(category.name)
        category = category.parent
    return names[::-1]


def rating(session: Session, product: Product) -> float | None:
    average = session.scalar(select(func.avg(Review.rating)).where(Review.product_id == product.id, Review.approved))
    return average and float(round(average, 2))


def latest_reviews(session: Session, product: Product) -> list[dict]:
    query = select(Review).where(Review.product_id == product.id, Review.approved)
    query = query.order_by(Review.created_at.desc(), Review.id.desc()).limit(3)
    return [{"id": review.id, "rating": review.rating, "body": review.body} for review in session.scalars(query)]


def bought_with(session: Session, product: Product) -> list[int]:
    orders = select(OrderItem.order_id).where(OrderItem.product_id == product.id).order_by(OrderItem.order_id.desc()).limit(50)
    query = select(OrderItem.product_id).where(OrderItem.order_id.in_(orders), OrderItem.product_id != product.id)
    query = query.group_by(OrderItem.product_id).order_by(func.count().desc(), OrderItem.product_id).limit(5)
    return list(session.scalars(query))


@router.route("GET", "/products/{id}/reviews")
def reviews(request: Request):
    product = find_product(request.session, request.number("id"))
    return {
        "product": product.name,
        "reviews": [
            {
                "id": review.id,
                "rating": review.rating,
                "body": review.body,
                "by": review.customer.name,
                "at": review.created_at.isoformat(),
            }
            for review in product.reviews
            if review.approved
        ],
    }


@router.route("POST", "/products/{id}/reviews")
def post_review(request: Request):
    """The moderators' service is slow, so the answer does not wait for it."""
    customer = current_customer(request)
    body = request.json()
    rating, words = body.get("rating"), body.get("body")
    if rating not in (1, 2, 3, 4, 5) or not isinstance(words, str) or not words.strip():
        raise HTTPError(400, "a review has a rating from 1 to 5 and a body")
    product = find_product(request.session, request.number("id"))
    session = Session(request.app.engine)
    review = Review(product_id=product.id, customer_id=customer.id, rating=rating, body=words, approved=False)
    session.add(review)
    session.flush()
    answer = {"id": review.id, "status": "in moderation"}
    threading.Thread(target=copy_context().run, args=(moderate, request.app, session, review)).start()
    return Response.json(answer, 201)


def moderate(app, session: Session, review: Review) -> None:
    with session:
        review.approved = app.outside.call("moderation", words=review.body)["ok"]
        session.commit()


@router.route("GET", "/products/{id}/similar")
def similar(request: Request):
    """Products of the same category with the same warranty."""
    session = request.session
    product = find_product(session, request.number("id"))
    months = session.scalar(
        select(cast(Product.attributes["warranty"].astext, Integer)).where(Product.id == product.id)
    )
    query = select(Product).where(Product.category_id == product.category_id, Product.id != product.id)
    query = query.where(Product.attributes["warranty"].astext == str(months)).order_by(Product.id).limit(5)
    return {"warranty_months": months, "products": [{"id": other.id, "name": other.name} for other in session.scalars(query)]}


@router.route("GET", "/search")
def search(request: Request):
    """Products by a part of their name."""
    term = request.text("q", shortest=3)
    for special in ("\\", "%", "_"):
        term = term.replace(special, "\\" + special)
    found = request.session.execute(
        text("SELECT * FROM products WHERE name ILIKE :pattern ORDER BY created_at DESC, id DESC LIMIT 30"),
        {"pattern": f"%{term}%"},
    ).mappings()
    return [{"id": row["id"], "name": row["name"], "price": row["price"]} for row in found]


@router.route("GET", "/feed")
def feed(request: Request):
    """All products of a brand with all that is known about them, for price comparison sites."""
    code = request.text("brand")
    query = select(Product).where(Product.brand_code == code).order_by(Product.id)
    products = []
    for product in request.session.scalars(query):
        row = {column.name: getattr(product, column.name) for column in Product.__table__.columns}
        row["stock"] = str(request.session.scalar(select(func.sum(StockLevel.quantity)).where(StockLevel.product_id == product.id)))
        row["weight_grams"] = str(product.weight_grams)
        products.append(row)
    return {"brand": code, "products": products}
