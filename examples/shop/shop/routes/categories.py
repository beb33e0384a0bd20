"""The tree of categories."""

from sqlalchemy import select

from shop.http import HTTPError, Request, Router
from shop.models import Brand, Category, Product

router = Router()


@router.route("GET", "/categories")
def categories(request: Request):
    """The whole tree, for the menu."""
    roots = request.session.scalars(select(Category).where(Category.parent_id.is_(None), Category.visible).order_by(Category.id))
    return {"data": {"categories": [node(category) for category in roots]}}


def node(category: Category) -> dict:
    return {
        "node": {
            "slug": category.slug,
            "name": category.name,
            "children": {"categories": [node(child) for child in category.children if child.visible]},
        }
    }


@router.route("GET", "/categories/{slug}/brands")
def brands(request: Request):
    """The brands that have something in a category."""
    session = request.session
    category = session.scalar(select(Category).where(Category.slug == request.params["slug"]))
    if category is None:
        raise HTTPError(404, "category not found")
    query = (
        select(Brand.code, Brand.name)
        .distinct()
        .where(Product.brand_code == Brand.code, Product.category_id == category.id, Category.visible)
        .order_by(Brand.code)
    )
    return [{"code": code, "name": name} for code, name in session.execute(query)]
