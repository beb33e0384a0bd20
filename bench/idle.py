"""Clients that have logged in and do nothing: what they cost a pooler in memory."""

import socket
import struct

from peers import DATABASE, USER
from processes import Failed, memory_kib

QUERY = b"SELECT 1\0"


def measure(peer, clients):
    """Memory before the first client, with all of them logged in, and after each has run a statement."""
    open_clients = []
    try:
        log_in(peer.port).close()
        empty = memory_kib(peer.child.pid)
        for _ in range(clients):
            open_clients.append(log_in(peer.port))
        logged_in = memory_kib(peer.child.pid)
        for client in open_clients:
            client.sendall(b"Q" + struct.pack("!I", len(QUERY) + 4) + QUERY)
            until_ready(client)
        used = memory_kib(peer.child.pid)
    finally:
        for client in open_clients:
            client.close()
    return {"empty": empty, "logged_in": logged_in, "used": used}


def log_in(port):
    """A client without a password, as the wire sees it."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    body = struct.pack("!I", 0x0003_0000) + b"".join(
        word.encode() + b"\0" for word in ("user", USER, "database", DATABASE)
    ) + b"\0"
    client.sendall(struct.pack("!I", len(body) + 4) + body)
    until_ready(client)
    return client


def until_ready(client):
    """Reads up to ReadyForQuery, which is the last message of an answer."""
    got = b""
    while not got.endswith(b"Z\0\0\0\x05I"):
        more = client.recv(8192)
        if not more or b"FATAL" in got:
            raise Failed(f"A pooler does not let an idle client in: {got!r}")
        got += more
