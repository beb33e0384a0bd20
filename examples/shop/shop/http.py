"""As much of a web framework as the shop needs, over the standard library's server."""

import json
import re
import sys
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy.exc import SQLAlchemyError

from shop.db import checked_traceparent, trace

BODY_BYTES_MAX = 1024 * 1024


class HTTPError(Exception):
    """A request that is not answered as asked."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: Any
    body: bytes
    #: What the braces of the route's template stand for.
    params: dict[str, str] = field(default_factory=dict)
    #: The session of this request, where the app opens one for each.
    session: Any = None
    app: Any = None

    def json(self) -> dict:
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise HTTPError(400, f"the body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise HTTPError(400, "the body must be a JSON object")
        return value

    def number(self, name: str, default: int | None = None, *, low: int = 1, high: int = 2**31 - 1) -> int:
        """An integer of the query or of the path."""
        text = self.params.get(name, self.query.get(name))
        if text is None and default is not None:
            return default
        if text is None or not re.fullmatch(r"[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise HTTPError(400, f"{name} must be a number from {low} to {high}")
        return int(text)

    def text(self, name: str, *, shortest: int = 1) -> str:
        value = self.query.get(name, "").strip()
        if len(value) < shortest:
            raise HTTPError(400, f"{name} must have {shortest} characters at least")
        return value


@dataclass
class Response:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200) -> "Response":
        # `default=str` makes money, times and UUIDs presentable.
        body = json.dumps(value, default=str).encode()
        return cls(body, status, {"content-type": "application/json"})


class Router:
    def __init__(self):
        self.routes: list[tuple[str, re.Pattern, Callable]] = []

    def route(self, method: str, template: str):
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))

        def register(handler: Callable) -> Callable:
            self.routes.append((method, pattern, handler))
            return handler

        return register

    def include(self, other: "Router") -> None:
        self.routes.extend(other.routes)

    def find(self, request: Request) -> Callable:
        methods = set()
        for method, pattern, handler in self.routes:
            if found := pattern.fullmatch(request.path):
                if method == request.method:
                    request.params = {name: unquote(value) for name, value in found.groupdict().items()}
                    return handler
                methods.add(method)
        if methods:
            raise HTTPError(405, "method not allowed")
        raise HTTPError(404, "route not found")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], app: Any):
        super().__init__(address, Handler)
        self.app = app

    def handle_error(self, _request, _address) -> None:
        """Visitors who hang up are no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(_request, _address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            self.write(error_response(400, "the body is too long, or its length is not known"))
            return
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = self.rfile.read(int(length))
        request = Request(self.command, parts.path, query, self.headers, body)
        # A connection's thread works on one request after the other, each with a trace of its own.
        self.write(copy_context().run(respond, self.server.app, request))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def write(self, response: Response) -> None:
        status = HTTPStatus(response.status)
        head = [f"HTTP/1.1 {status.value} {status.phrase}", f"content-length: {len(response.body)}"]
        head += [f"{name}: {value}" for name, value in response.headers.items()]
        if self.close_connection:
            head.append("connection: close")
        if status == HTTPStatus.NOT_MODIFIED:
            head.pop(1)
        self.wfile.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + response.body)

    def log_message(self, *_) -> None:
        pass


def respond(app: Any, request: Request) -> Response:
    trace.set(checked_traceparent(request.headers.get("traceparent")))
    try:
        return app.handle(request)
    except HTTPError as error:
        return error_response(error.status, str(error))
    except SQLAlchemyError as error:
        cause = str(error.orig if getattr(error, "orig", None) else error).splitlines()[0]
        print(f"{request.method} {request.path}: database: {cause}", file=sys.stderr, flush=True)
    except Exception as error:  # noqa: BLE001: whatever it is, the visitor gets an answer
        print(f"{request.method} {request.path}: {error!r}", file=sys.stderr, flush=True)
    return error_response(500, "internal error")


def error_response(status: int, message: str) -> Response:
    return Response.json({"error": message}, status)
