"""The tables, as the ORM sees them. `seed/tables.sql` creates them."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Integer, Numeric, SmallInteger, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    type_annotation_map = {
        str: Text,
        dict: JSONB,
        UUID: Uuid,
        datetime: TIMESTAMP(timezone=True),
        Decimal: Numeric(10, 2),
    }


class Setting(Base):
    __tablename__ = "settings"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict]


class Counter(Base):
    __tablename__ = "counters"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    name: Mapped[str]
    phone: Mapped[str | None]
    preferences: Mapped[dict]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Token(Base):
    __tablename__ = "tokens"
    token: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id"))


class Category(Base):
    __tablename__ = "categories"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("categories.id"))
    slug: Mapped[str]
    name: Mapped[str]
    visible: Mapped[bool]
    parent: Mapped["Category | None"] = relationship(remote_side=[id], back_populates="children")
    children: Mapped[list["Category"]] = relationship(back_populates="parent", order_by="Category.id")


class Brand(Base):
    __tablename__ = "brands"
    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    country: Mapped[str]


class Product(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    sku: Mapped[str]
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id"))
    brand_code: Mapped[str] = mapped_column(ForeignKey("brands.code"))
    name: Mapped[str]
    description: Mapped[str]
    attributes: Mapped[dict]
    price: Mapped[Decimal]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ean: Mapped[str | None]
    weight_grams: Mapped[int | None] = mapped_column(Integer)
    width_mm: Mapped[int | None] = mapped_column(Integer)
    height_mm: Mapped[int | None] = mapped_column(Integer)
    depth_mm: Mapped[int | None] = mapped_column(Integer)
    color: Mapped[str | None]
    material: Mapped[str | None]
    season: Mapped[str | None]
    video_url: Mapped[str | None]
    energy_class: Mapped[str | None]
    category: Mapped[Category] = relationship()
    brand: Mapped[Brand] = relationship()
    stock: Mapped[list["StockLevel"]] = relationship(order_by="StockLevel.warehouse_code")
    reviews: Mapped[list["Review"]] = relationship(order_by="Review.created_at.desc(), Review.id.desc()")


class Warehouse(Base):
    __tablename__ = "warehouses"
    code: Mapped[str] = mapped_column(primary_key=True)
    city: Mapped[str]


class StockLevel(Base):
    __tablename__ = "stock_levels"
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), primary_key=True)
    warehouse_code: Mapped[str] = mapped_column(ForeignKey("warehouses.code"), primary_key=True)
    quantity: Mapped[int]
    warehouse: Mapped[Warehouse] = relationship()


class Review(Base):
    __tablename__ = "reviews"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id"))
    rating: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[str]
    approved: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    customer: Mapped[Customer] = relationship()


class Coupon(Base):
    __tablename__ = "coupons"
    code: Mapped[str] = mapped_column(primary_key=True)
    percent: Mapped[int]
    redeemed: Mapped[int]


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    number: Mapped[str]
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id"))
    coupon_code: Mapped[str | None] = mapped_column(ForeignKey("coupons.code"))
    status: Mapped[str]
    total: Mapped[Decimal]
    shipping: Mapped[dict]
    placed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    customer: Mapped[Customer] = relationship()
    items: Mapped[list["OrderItem"]] = relationship(order_by="OrderItem.id")


class OrderItem(Base):
    __tablename__ = "order_items"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]
    unit_price: Mapped[Decimal]
    product: Mapped[Product] = relationship()


class Cart(Base):
    __tablename__ = "carts"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id"))
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    items: Mapped[list["CartItem"]] = relationship(order_by="CartItem.product_id")


class CartItem(Base):
    __tablename__ = "cart_items"
    cart_id: Mapped[UUID] = mapped_column(ForeignKey("carts.id"), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), primary_key=True)
    quantity: Mapped[int]
    product: Mapped[Product] = relationship()


class PageView(Base):
    __tablename__ = "page_views"
    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(BigInteger)
    customer_id: Mapped[UUID | None]
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
