"""The rows of each table, in COPY's text format: made up, always the same."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from uuid import UUID

from shop.outside import loyalty_points

WORDS = (
    "sturdy light quiet folding washed handy small large warm cool bright plain round flat soft firm long short "
    "for the kitchen garden workshop balcony office travel children winter summer with lid handle strap pocket cover "
    "made of oak steel linen wool cotton glass clay paper cork leather that lasts and can be repaired by anyone"
).split()
ADJECTIVES = "Amber Birch Calm Dapper Even Fine Grand Hardy Ideal Jolly Keen Lofty Merry Noble Olive Plain".split()
NOUNS = "Kettle Lamp Chair Bucket Blanket Basket Ladder Mirror Pillow Shelf Stool Tray Clock Knife Teapot Mat".split()
COUNTRIES = ("AT", "DE", "DK", "FR", "IT", "NL", "PL", "SE")
COLORS = ("black", "white", "red", "blue", "green")
CITIES = {"ber": "Berlin", "ham": "Hamburg", "lyo": "Lyon", "vie": "Vienna"}
STATUSES = ("placed", "paid", "shipped", "shipped", "shipped", "returned")
NULL = r"\N"


@dataclass(frozen=True)
class Sizes:
    """How many rows each table gets. What is not named here follows from these."""

    products: int
    brands: int
    customers: int
    orders: int
    reviews: int
    carts: int
    page_views: int


class Rows:
    def __init__(self, sizes: Sizes):
        self.sizes = sizes
        ids = Random("customers' ids")
        self.customer_ids = [str(UUID(int=ids.getrandbits(128), version=4)) for _ in range(sizes.customers)]
        texts = Random("texts")
        #: Long texts are cut out of this one, which is much cheaper than making each word by word.
        self.prose = " ".join(texts.choice(WORDS) for _ in range(20_000))
        self.categories = list(category_tree())

    def text(self, random: Random, length: int) -> str:
        start = random.randrange(len(self.prose) - length)
        return self.prose[start : start + length].strip()

    def settings(self, _random: Random) -> Iterator[str]:
        values = {
            "currency": {"code": "EUR", "symbol": "€"},
            "vat": {"percent": 19},
            "shipping": {"free_from": 50},
            "shop": {"name": "The Shop", "country": "DE"},
        }
        for key, value in values.items():
            yield f"{key}\t{json.dumps(value)}"

    def counters(self, _random: Random) -> Iterator[str]:
        yield f"order\t{100_000 + self.sizes.orders}"

    def customers(self, random: Random) -> Iterator[str]:
        for number, id in enumerate(self.customer_ids, 1):
            phone = f"+49 30 {random.randrange(10**7):07}" if number % 3 == 0 else NULL
            preferences = json.dumps({"newsletter": number % 2 == 0, "language": random.choice(("de", "en", "fr"))})
            yield f"{id}\tCustomer{number}@Mail.example\tCustomer {number}\t{phone}\t{preferences}\t{moment(random)}"

    def tokens(self, _random: Random) -> Iterator[str]:
        for number, id in enumerate(self.customer_ids, 1):
            yield f"tok-{number}\t{id}"

    def loyalty(self, _random: Random) -> Iterator[str]:
        for id in self.customer_ids:
            yield f"{id}\t{loyalty_points(id)}"

    def category_rows(self, random: Random) -> Iterator[str]:
        for id, parent in self.categories:
            name = f"{random.choice(ADJECTIVES)} {random.choice(NOUNS)}s"
            yield f"{id}\t{parent or NULL}\tcategory-{id}\t{name}\tt"

    def brands(self, random: Random) -> Iterator[str]:
        for number in range(1, self.sizes.brands + 1):
            yield f"brand-{number}\t{random.choice(ADJECTIVES)} & {random.choice(NOUNS)} {number}\t{random.choice(COUNTRIES)}"

    def products(self, random: Random) -> Iterator[str]:
        for id in range(1, self.sizes.products + 1):
            category = random.choice(self.categories)[0]
            brand = 1 + random.randrange(self.sizes.brands)
            name = f"{random.choice(ADJECTIVES)} {random.choice(NOUNS)} {id % 97} {random.choice(WORDS)}"
            attributes = {
                "care": self.text(random, 180),
                "origin": random.choice(COUNTRIES),
                "tags": random.sample(WORDS, 6),
                # Whoever typed some of these in added the unit.
                "warranty": f"{random.choice((12, 24, 36))}{' months' if id % 8 == 0 else ''}",
                "related": [1 + random.randrange(self.sizes.products) for _ in range(4)],
            }
            price = f"{2 + random.randrange(300)}.{random.choice(('00', '50', '90', '99'))}"
            weight = 100 + random.randrange(8000)
            ean = f"40{random.randrange(10**11):011}" if id % 5 == 0 else NULL
            color = random.choice(COLORS) if id % 6 == 0 else NULL
            yield (
                f"{id}\tSKU-{id:07}\t{category}\tbrand-{brand}\t{name}\t{self.text(random, 900)}\t{json.dumps(attributes)}\t{price}"
                f"\t{moment(random)}\t{ean}\t{weight}\t{NULL}\t{NULL}\t{NULL}\t{color}\t{NULL}\t{NULL}\t{NULL}\t{NULL}"
            )

    def warehouses(self, _random: Random) -> Iterator[str]:
        for code, city in CITIES.items():
            yield f"{code}\t{city}"

    def stock_levels(self, random: Random) -> Iterator[str]:
        for product in range(1, self.sizes.products + 1):
            for code in CITIES:
                yield f"{product}\t{code}\t{1000 + random.randrange(1000)}"

    def reviews(self, random: Random) -> Iterator[str]:
        for id in range(1, self.sizes.reviews + 1):
            product = self.popular_product(random)
            customer = random.choice(self.customer_ids)
            yield f"{id}\t{product}\t{customer}\t{random.choice('1345545')}\t{self.text(random, 200)}\tt\t{moment(random)}"

    def coupons(self, _random: Random) -> Iterator[str]:
        for number in range(1, 21):
            yield f"SAVE-{number}\t{5 * (1 + number % 4)}\t0"

    def orders(self, random: Random) -> Iterator[str]:
        for id in range(1, self.sizes.orders + 1):
            customer = random.choice(self.customer_ids)
            coupon = f"SAVE-{1 + random.randrange(20)}" if id % 9 == 0 else NULL
            address = {"street": self.text(random, 40), "city": random.choice(("Berlin", "Lyon", "Turin"))}
            shipping = json.dumps(address | {"zip": str(10_000 + id % 80_000)})
            total = f"{5 + random.randrange(900)}.{random.randrange(100):02}"
            yield f"{id}\t{100_000 + id}\t{customer}\t{coupon}\t{random.choice(STATUSES)}\t{total}\t{shipping}\t{moment(random)}"

    def order_items(self, random: Random) -> Iterator[str]:
        id = 0
        for order in range(1, self.sizes.orders + 1):
            for _ in range(2 + order % 3):
                id += 1
                yield f"{id}\t{order}\t{self.popular_product(random)}\t{1 + random.randrange(3)}\t{3 + random.randrange(200)}.90"

    def carts(self, random: Random) -> Iterator[str]:
        for _ in range(self.sizes.carts):
            id = UUID(int=random.getrandbits(128), version=4)
            yield f"{id}\t{random.choice(self.customer_ids)}\t{moment(random)}"

    def page_views(self, random: Random) -> Iterator[str]:
        for number in range(self.sizes.page_views):
            customer = random.choice(self.customer_ids) if number % 4 else NULL
            yield f"{self.popular_product(random)}\t{customer}\t{moment(random)}"

    def popular_product(self, random: Random) -> int:
        """Low ids are popular."""
        return 1 + int(self.sizes.products * random.random() ** 2)


def category_tree() -> Iterator[tuple[int, int | None]]:
    """Ids with their parents: six levels, 124 categories."""
    above: list[int | None] = [None]
    id = 0
    for width in (4, 2, 2, 2, 1, 1):
        level = []
        for parent in above:
            for _ in range(width):
                id += 1
                level.append(id)
                yield id, parent
        above = level


def moment(random: Random) -> str:
    """Some second of 2025."""
    month, day, second = 1 + random.randrange(12), 1 + random.randrange(28), random.randrange(86_400)
    return f"2025-{month:02}-{day:02} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}+00"
