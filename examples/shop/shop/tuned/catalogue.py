"""Products and their reviews."""

import json
from functools import partial

from sqlalchemy import exists, func, insert, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from shop.http import HTTPError, Request, Response, Router
from shop.models import Brand, Customer, OrderItem, Product, Review, StockLevel, Warehouse
from shop.routes.catalogue import PAGE, PAGE_MAX
from shop.tuned import categories
from shop.tuned.common import current_customer, optional_customer

REVIEWS_PAGE = 50
FEED_PAGE = 50
NEWEST = (Product.created_at.desc(), Product.id.desc())

router = Router()


@router.route("GET", "/products")
def products(request: Request):
    """A page of products, the newest first."""
    app = request.app
    page = request.number("page", 1, high=PAGE_MAX)
    slug = request.query.get("category")
    category = categories.tree(app).id_of(slug) if slug else None
    before = page_ends(app, category).get(page - 1)
    if page > 1 and before is None or slug and category is None:
        return {"page": page, "products": []}
    in_stock = exists().where(StockLevel.product_id == Product.id, StockLevel.quantity > 0)
    query = select(Product.id, Product.name, Product.price, Brand.name.label("brand"), in_stock.label("in_stock")).join(Brand)
    query = of_category(query, category).order_by(*NEWEST).limit(PAGE)
    if before:
        query = query.where(tuple_(Product.created_at, Product.id) < before)
    with app.autocommit() as session:
        return {
            "page": page,
            "products": [{**row, "price": app.display_price(row["price"])} for row in session.execute(query).mappings()],
        }


def of_category(query, category: int | None):
    return query if category is None else query.where(Product.category_id == category)


def page_ends(app, category: int | None) -> dict[int, tuple]:
    """Where each page ends, read at most once a minute, so that no page is reached by counting rows away. A product
    that is new since then shifts the first page only."""
    return app.cache.get(f"pages of {category}", 60, partial(load_page_ends, app, category))


def load_page_ends(app, category: int | None) -> dict[int, tuple]:
    row = func.row_number().over(order_by=NEWEST).label("row")
    numbered = of_category(select(Product.created_at, Product.id, row), category).subquery()
    query = select(numbered.c.row, numbered.c.created_at, numbered.c.id)
    query = query.where(numbered.c.row % PAGE == 0, numbered.c.row <= PAGE * PAGE_MAX)
    with app.autocommit() as session:
        return {row // PAGE: (created_at, id) for row, created_at, id in session.execute(query)}


@router.route("GET", "/products/{id}")
def product(request: Request):
    app, id = request.app, request.number("id")
    with app.autocommit() as session:
        row = session.execute(page_query(id)).first()
        if row is None:
            raise HTTPError(404, "product not found")
        customer = optional_customer(session, request, Customer.id, Customer.name, Customer.preferences["language"].astext)
    app.views.add(id, customer[0] if customer else None)
    vat, free_from = app.setting("vat")["percent"], app.setting("shipping")["free_from"]
    return {
        "id": row.id,
        "sku": row.sku,
        "name": row.name,
        "description": row.description,
        "greeting": greeting(app, customer),
        "price": app.display_price(row.price),
        "vat": app.display_price(f"{row.price * vat / (100 + vat):.2f}"),
        "shipping": "free" if row.price >= free_from else f"free from {app.display_price(free_from)}",
        "brand": {"code": row.brand_code, "name": row.brand},
        "path": categories.tree(app).path(row.category_id),
        "stock": row.stock,
        "reviews": row.reviews,
        "rating": row.rating and float(round(row.rating, 2)),
        "latest_reviews": row.latest_reviews or [],
        "bought_with": bought_with(app, id),
    }


def page_query(id: int):
    """All of a product's page in one statement."""
    of_product = (Review.product_id == Product.id, Review.approved)
    stock = select(func.jsonb_object_agg(Warehouse.city, StockLevel.quantity)).select_from(StockLevel).join(Warehouse)
    stock = stock.where(StockLevel.product_id == Product.id).correlate(Product).scalar_subquery()
    ratings = select(func.count().label("reviews"), func.avg(Review.rating).label("rating")).where(*of_product).correlate(Product).lateral()
    latest = select(Review.id, Review.rating, Review.body, Review.created_at).where(*of_product).correlate(Product)
    latest = latest.order_by(Review.created_at.desc(), Review.id.desc()).limit(3).subquery()
    shown = func.jsonb_build_object("id", latest.c.id, "rating", latest.c.rating, "body", latest.c.body)
    latest = select(func.jsonb_agg(aggregate_order_by(shown, latest.c.created_at.desc(), latest.c.id.desc()))).scalar_subquery()
    columns = (Product.id, Product.sku, Product.name, Product.description, Product.price, Product.brand_code, Product.category_id)
    columns += (Brand.name.label("brand"), ratings.c.reviews, ratings.c.rating, stock.label("stock"), latest.label("latest_reviews"))
    query = select(*columns)
    return query.join(Brand).join(ratings, literal(True)).where(Product.id == id)


def greeting(app, customer) -> str:
    shop = app.setting("shop")["name"]
    if customer is None:
        return f"{shop}: welcome"
    _, name, language = customer
    return f"{shop}: {name}" if language == "en" else f"{shop} ({language}): {name}"


def bought_with(app, id: int) -> list[int]:
    """What was bought with it hardly changes within minutes."""
    return app.cache.get(f"bought with {id}", 600, partial(load_bought_with, app, id))


def load_bought_with(app, id: int) -> list[int]:
    orders = select(OrderItem.order_id).where(OrderItem.product_id == id).order_by(OrderItem.order_id.desc()).limit(50)
    query = select(OrderItem.product_id).where(OrderItem.order_id.in_(orders), OrderItem.product_id != id)
    query = query.group_by(OrderItem.product_id).order_by(func.count().desc(), OrderItem.product_id).limit(5)
    with app.autocommit() as session:
        return list(session.scalars(query))


@router.route("GET", "/products/{id}/reviews")
def reviews(request: Request):
    """A page of reviews. `before` is the last one's id on the page before."""
    id, before = request.number("id"), request.number("before", 0, low=0)
    columns = (Review.id, Review.rating, Review.body, Customer.name.label("by"), Review.created_at)
    query = select(*columns).join(Customer).where(Review.product_id == id, Review.approved)
    query = query.order_by(Review.created_at.desc(), Review.id.desc()).limit(REVIEWS_PAGE)
    if before:
        mark = select(Review.created_at, Review.id).where(Review.id == before)
        query = query.where(tuple_(Review.created_at, Review.id) < mark.scalar_subquery())
    with request.app.autocommit() as session:
        name = session.scalar(select(Product.name).where(Product.id == id))
        if name is None:
            raise HTTPError(404, "product not found")
        rows = session.execute(query).all()
    return {
        "product": name,
        "reviews": [
            {"id": row.id, "rating": row.rating, "body": row.body, "by": row.by, "at": row.created_at.isoformat()} for row in rows
        ],
        "next": rows[-1].id if len(rows) == REVIEWS_PAGE else None,
    }


@router.route("POST", "/products/{id}/reviews")
def post_review(request: Request):
    """The review is there, unapproved, when the answer is; a job asks the moderators."""
    app, id, body = request.app, request.number("id"), request.json()
    rating, words = body.get("rating"), body.get("body")
    if rating not in (1, 2, 3, 4, 5) or not isinstance(words, str) or not words.strip():
        raise HTTPError(400, "a review has a rating from 1 to 5 and a body")
    with app.transaction() as session:
        customer = current_customer(session, request, Customer.id)
        new = select(Product.id, literal(customer.id), literal(rating), literal(words), literal(False)).where(Product.id == id)
        names = ["product_id", "customer_id", "rating", "body", "approved"]
        review = session.scalar(insert(Review).from_select(names, new).returning(Review.id))
        if review is None:
            raise HTTPError(404, "product not found")
    app.jobs.add(partial(moderate, app, review, words))
    return Response.json({"id": review, "status": "in moderation"}, 201)


def moderate(app, review: int, words: str) -> None:
    if app.outside.call("moderation", words=words)["ok"]:
        with app.transaction() as session:
            session.execute(update(Review).where(Review.id == review).values(approved=True))


@router.route("GET", "/products/{id}/similar")
def similar(request: Request):
    """Products of the same category with the same warranty, whether or not its unit was typed in."""
    id = request.number("id")
    warranty = func.substring(Product.attributes["warranty"].astext, "^[0-9]+")
    with request.app.autocommit() as session:
        row = session.execute(select(Product.category_id, warranty).where(Product.id == id)).first()
        if row is None:
            raise HTTPError(404, "product not found")
        category, months = row
        query = select(Product.id, Product.name).where(Product.category_id == category, Product.id != id)
        query = query.where(Product.attributes["warranty"].astext == months).order_by(Product.id).limit(5)
        others = session.execute(query).mappings()
        return {"warranty_months": int(months), "products": [dict(other) for other in others]}


@router.route("GET", "/search")
def search(request: Request):
    """Products by a part of their name, found by its trigrams."""
    term = request.text("q", shortest=3)
    query = select(Product.id, Product.name, Product.price).where(Product.name.icontains(term, autoescape=True))
    with request.app.autocommit() as session:
        return [dict(row) for row in session.execute(query.order_by(*NEWEST).limit(30)).mappings()]


@router.route("GET", "/feed")
def feed(request: Request):
    """A page of a brand's products with what is known about them. `after` is the last one's id on the page before."""
    code, after = request.text("brand"), request.number("after", 0, low=0)
    with request.app.autocommit() as session:
        products = feed_page(session, code, after)
    following = products[-1]["id"] if len(products) == FEED_PAGE else None
    return Response.json({"brand": code, "products": products, "next": following})


def feed_page(session: Session, code: str, after: int) -> list[dict]:
    stock = select(func.sum(StockLevel.quantity)).where(StockLevel.product_id == Product.id).scalar_subquery()
    query = select(Product.__table__, stock.label("stock")).where(Product.brand_code == code, Product.id > after)
    rows = session.execute(query.order_by(Product.id).limit(FEED_PAGE)).mappings()
    return [json.loads(json.dumps(known(row), default=str)) for row in rows]


def known(row) -> dict:
    return {name: float(value) if name == "price" else value for name, value in row.items() if value is not None}
