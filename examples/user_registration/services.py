"""Two HTTP services as they are: an accounts service that is busy at first, and a billing service that can say no."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """Of a service: a status, headers, and JSON."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = {}


class Services:
    """Answers `POST /accounts` and `POST /subscriptions`. The same idempotency key twice has one effect.

    The first call for an email finds the accounts service overloaded (503), the second one is told to come back in a
    second (429 with `Retry-After`). The billing service takes every card but `declined` (402).
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.made: dict[str, Mapping[str, Any]] = {}

    def answer(self, path: str, key: str, asked: Mapping[str, Any]) -> Answer:
        if key in self.made:
            return Answer(200, self.made[key])
        self.calls[f"{path} {asked['email']}"] += 1
        answer = self._accounts(asked) if path == "/accounts" else self._billing(asked)
        if answer.status == 201:
            self.made[key] = answer.body
        return answer

    def _accounts(self, asked: Mapping[str, Any]) -> Answer:
        match self.calls[f"/accounts {asked['email']}"]:
            case 1:
                return Answer(503, {"error": "overloaded"})
            case 2:
                return Answer(429, {"error": "too many requests"}, {"Retry-After": "1"})
        return Answer(201, {"account": f"account of {asked['email']}"})

    def _billing(self, asked: Mapping[str, Any]) -> Answer:
        if asked["card"] == "declined":
            return Answer(402, {"error": "card declined"})
        return Answer(201, {"subscription": f"{asked['plan']} for {asked['account']}"})

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve on a free port of this machine; gives the address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(services: Services) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body, headers = services.answer(self.path, self.headers["Idempotency-Key"], asked)
            said = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json", "Content-Length": len(said)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it here."""

    return Handler
