"""The tree of categories, which hardly ever changes: it is kept for a minute."""

from functools import partial

from sqlalchemy import Row, exists, select

from shop.http import HTTPError, Request, Response, Router
from shop.models import Brand, Category, Product

router = Router()


class Tree:
    def __init__(self, rows: list[Row]):
        self.by_id = {row.id: row for row in rows}
        self.ids = {row.slug: row.id for row in rows}

    def id_of(self, slug: str) -> int | None:
        return self.ids.get(slug)

    def path(self, id: int) -> list[str]:
        names = []
        while id:
            names.append(self.by_id[id].name)
            id = self.by_id[id].parent_id
        return names[::-1]


def tree(app) -> Tree:
    return app.cache.get("categories", 60, partial(load, app))


def load(app) -> Tree:
    columns = (Category.id, Category.parent_id, Category.slug, Category.name, Category.visible)
    with app.autocommit() as session:
        return Tree(list(session.execute(select(*columns).order_by(Category.id))))


@router.route("GET", "/categories")
def categories(request: Request):
    """All categories in a flat list; whoever wants a tree follows `parent`."""
    known = tree(request.app).by_id
    shown = [
        {"slug": row.slug, "name": row.name, "parent": known[row.parent_id].slug if row.parent_id else None}
        for row in known.values()
        if row.visible
    ]
    response = Response.json({"categories": shown})
    response.headers["cache-control"] = "public, max-age=60"
    return response


@router.route("GET", "/categories/{slug}/brands")
def brands(request: Request):
    category = tree(request.app).id_of(request.params["slug"])
    if category is None:
        raise HTTPError(404, "category not found")
    has_products = exists().where(Product.brand_code == Brand.code, Product.category_id == category)
    query = select(Brand.code, Brand.name).where(has_products).order_by(Brand.code)
    with request.app.autocommit() as session:
        return [dict(row) for row in session.execute(query).mappings()]
