"""A real HTTP server that takes webhooks, and answers as a test says."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tasker_temporal.sinks import TaskEvent


class Answer(NamedTuple):
    status: int = 204
    headers: Mapping[str, str] = {}


class Got(NamedTuple):
    """One request. `headers` have lower-case names."""

    headers: dict[str, str]
    body: bytes
    answer: Answer

    @property
    def events(self) -> list[TaskEvent]:
        plain = json.loads(self.body)
        return [TaskEvent.model_validate(each) for each in (plain if isinstance(plain, list) else [plain])]


@dataclass
class Receiver:
    """What it got, and how it answers: request by request, and then well."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    refuse: Callable[[], bool] = field(default=lambda: False)
    """It answers 500 while this is so."""

    @property
    def taken(self) -> list[TaskEvent]:
        """The events that it answered well for."""
        return [event for got in self.got if got.answer.status < 300 for event in got.events]

    def take(self, headers: dict[str, str], body: bytes) -> Answer:
        answer = Answer(500) if self.refuse() else self.answers.pop(0) if self.answers else Answer()
        self.got.append(Got(headers, body, answer))
        return answer


@contextmanager
def receiving(port: int = 0, **options: Any) -> Iterator[Receiver]:
    """Serve as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quietly."""

    open_sockets: list[socket.socket] = []

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who sent it may have died, or lost patience, before it heard the answer."""

        def process_request(self, request: Any, client_address: Any) -> None:
            open_sockets.append(request)
            super().process_request(request, client_address)

    with Server(("127.0.0.1", port), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hooks", **options)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
            for each in open_sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
