"""Services outside the shop, played by an HTTP server in this process. They are slow, as such services are, and how slow
depends on what is asked, so that runs can be compared."""

import json
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

#: The least time of each in milliseconds, and how much longer it may take.
LATENCY_MS = {
    "payments": (250, 200),
    "carrier": (150, 100),
    "loyalty": (100, 60),
    "moderation": (150, 100),
    "rates": (30, 20),
    "mail": (60, 60),
}


class Outside:
    """The client of all of them."""

    def __init__(self, url: str):
        self.url = url

    @classmethod
    def start(cls) -> "Outside":
        server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return cls(f"http://127.0.0.1:{server.server_address[1]}")

    def call(self, service: str, **what) -> dict:
        body = json.dumps(what, sort_keys=True, default=str).encode()
        with urlopen(Request(f"{self.url}/{service}", body), timeout=10) as answer:
            return json.load(answer)


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        service = self.path.strip("/")
        body = self.rfile.read(int(self.headers["content-length"]))
        number = zlib.crc32(body)
        least, more = LATENCY_MS[service]
        time.sleep((least + number % more) / 1000)
        answer = json.dumps(answer_of(service, json.loads(body), number)).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_) -> None:
        pass


def answer_of(service: str, what: dict, number: int) -> dict:
    match service:
        case "carrier":
            return {"carrier": "Meadow Post", "cents": 390 + 120 * what["kg"], "days": 2 + number % 4}
        case "loyalty":
            return {"points": loyalty_points(what["customer"])}
        case "rates":
            return {"percent": 100 + number % 5}
        case _:
            return {"ok": True}


def loyalty_points(customer: str) -> int:
    return zlib.crc32(customer.encode()) % 5000


def invoice_pdf(number: str, lines: list[str]) -> bytes:
    """An invoice: compressing its font and its logo is what costs (about 25 ms)."""
    page = f"Invoice {number}\n" + "\n".join(lines)
    return zlib.compress((page * 400)[:1_500_000].encode(), 9) + zlib.compress(bytes(range(256)) * 6000, 9)
