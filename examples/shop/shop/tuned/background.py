"""What need not be done within a request."""

import queue
import sys
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, insert

from shop.models import PageView

JOBS_MAX = 10_000
WORKERS = 4
VIEWS_MAX = 5_000
VIEWS_EVERY_S = 1.0


class Jobs:
    """A few threads and a bounded queue. The trace of the request does not go along: the request is over."""

    def __init__(self):
        self.queue: queue.Queue[Callable[[], Any] | None] = queue.Queue(JOBS_MAX)
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(WORKERS)]
        for thread in self.threads:
            thread.start()

    def add(self, job: Callable[[], Any]) -> None:
        self.queue.put(job)

    def work(self) -> None:
        while job := self.queue.get():
            attempt(job)

    def close(self) -> None:
        """Finishes what was promised."""
        for _ in self.threads:
            self.queue.put(None)
        for thread in self.threads:
            thread.join(timeout=30)


class Views:
    """Page views, written many at a time. The newest are lost when the process dies, which nobody minds."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.rows: list[dict] = []
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def add(self, product_id: int, customer_id: UUID | None) -> None:
        with self.lock:
            if len(self.rows) < VIEWS_MAX:
                self.rows.append({"product_id": product_id, "customer_id": customer_id})

    def work(self) -> None:
        while not self.ended.wait(VIEWS_EVERY_S):
            attempt(self.write)
        attempt(self.write)

    def write(self) -> None:
        with self.lock:
            rows, self.rows = self.rows, []
        if rows:
            with self.engine.begin() as connection:
                connection.execute(insert(PageView).values(rows))

    def close(self) -> None:
        self.ended.set()
        self.thread.join(timeout=30)


class Cache:
    """Values that may be a little old. Whoever comes while one is made waits for it rather than making it too.
    Keys are made of what exists in the database, never of whatever a visitor types in: that bounds them."""

    def __init__(self):
        self.values: dict[str, tuple[float, Any]] = {}
        self.locks: dict[str, threading.Lock] = {}

    def get(self, key: str, seconds: float, make: Callable[[], Any]) -> Any:
        if (value := self.fresh(key)) is not None:
            return value
        with self.locks.setdefault(key, threading.Lock()):
            if (value := self.fresh(key)) is not None:
                return value
            value = make()
            self.values[key] = (time.monotonic() + seconds, value)
            return value

    def fresh(self, key: str) -> Any:
        expires, value = self.values.get(key, (0.0, None))
        return value if time.monotonic() < expires else None


def attempt(job: Callable[[], Any]) -> None:
    try:
        # A copy of an empty context: whatever a job sets is gone with it.
        copy_context().run(job)
    except Exception as error:  # noqa: BLE001: one job's failure is not the next one's
        print(f"background: {error!r}", file=sys.stderr, flush=True)
