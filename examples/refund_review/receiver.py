"""A webhook receiver, as a chat or a mail gateway would have one: it prints whom it would ask, and for what."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Notice = dict[str, Any]


@contextmanager
def receiving(heard: Callable[[Notice], None]) -> Iterator[str]:
    """Serve on a free port of this machine. Gives the URL to post notices to."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing of each request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, name="webhook receiver")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def line(notice: Notice) -> str:
    """What people would read."""
    if notice["kind"] == "decided":
        return f"{notice['approval']} of {notice['task_id']} was {notice['decision']} by {', '.join(notice['voters'])}"
    who = ", ".join(notice["approvers"])
    return f"{notice['approval']} of {notice['task_id']} was {notice['kind']}: {who}, please decide"
