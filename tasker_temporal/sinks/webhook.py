"""A sink that is an HTTP endpoint: CloudEvents 1.0 in POST requests, signed if there is a secret."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from typing import Literal, NamedTuple
from urllib.parse import quote, urlsplit

from tasker_temporal.errors import RetryableError
from tasker_temporal.sinks.events import TaskEvent
from tasker_temporal.sinks.handlers import PartlyTaken
from tasker_temporal.sinks.signature import key_of, signed

Mode = Literal["batch", "structured", "binary"]

THREADS = 32
"""So many requests at a time."""

SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What a header says as it is; all else is percent-encoded, as CloudEvents' HTTP binding has it."""

LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""Answers whose `Retry-After` is heeded."""


class WebhookRefused(Exception):
    """The receiver answered, but not with 2xx."""


class _Request(NamedTuple):
    headers: dict[str, str]
    body: bytes


class Webhook:
    """Posts events to a URL. An answer of 2xx takes them; anything else, and silence, is tried again.

    Args:
        url: `https://` or `http://`. Redirects are not followed, proxies not asked.
        secret: Signs each request (`verify_webhook` checks it). Of several, each signs it.
        mode: `batch`: a JSON array of events a request, `application/cloudevents-batch+json`. `structured`: an event a
            request, `application/cloudevents+json`. `binary`: an event a request, its attributes in `ce-` headers.
        headers: Sent with each request, as an `Authorization`.
        timeout: Seconds that the receiver may be silent.
        tls: For certificates of your own; as it comes, the system's authorities are trusted.

    Raises:
        ValueError: the URL or the secret cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | Sequence[str] = (),
        mode: Mode = "batch",
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._idle: list[http.client.HTTPConnection] = []
        self._threads = ThreadPoolExecutor(THREADS, "tasker-webhook")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"webhook {url!r}: expected a URL as https://example.com/hooks")
        self._name = f"{parts.scheme}://{parts.hostname}{parts.path}"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._host, self._port = parts.hostname, parts.port
        self._tls = tls or (ssl.create_default_context() if parts.scheme == "https" else None)
        self._secrets = (secret,) if isinstance(secret, str) else tuple(secret)
        for one in self._secrets:
            key_of(one)
        self._mode, self._headers, self._timeout = mode, dict(headers or {}), timeout

    def __repr__(self) -> str:
        return f"Webhook({self._name!r}, mode={self._mode!r})"

    async def __call__(self, events: Sequence[TaskEvent]) -> None:
        """Post the events, one request after the other.

        Raises:
            PartlyTaken: in the modes that post them one by one, some were taken.
        """
        if self._mode == "batch":
            await self._in_thread(self._batch(events))
            return
        for count, event in enumerate(events):
            try:
                await self._in_thread(self._single(event))
            except Exception as error:
                raise PartlyTaken(count, error) from error

    async def _in_thread(self, request: _Request) -> None:
        """One of its own: while it waits for a receiver that is silent, others go on."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._post, request)

    def _batch(self, events: Sequence[TaskEvent]) -> _Request:
        body = b"[" + b",".join(event.json_bytes() for event in events) + b"]"
        return self._signed(f"{events[0].id}+{len(events)}", body, "application/cloudevents-batch+json")

    def _single(self, event: TaskEvent) -> _Request:
        if self._mode == "structured":
            return self._signed(event.id, event.json_bytes(), "application/cloudevents+json")
        request = self._signed(event.id, event.data_bytes(), "application/json")
        attributes = event.attributes()
        del attributes["datacontenttype"]
        request.headers.update({f"ce-{name}": quote(value, safe=SAFE) for name, value in attributes.items()})
        return request

    def _signed(self, id: str, body: bytes, content_type: str) -> _Request:
        media = content_type if content_type == "application/json" else f"{content_type}; charset=utf-8"
        headers = {**self._headers, "Content-Type": media, **signed(self._secrets, quote(id, safe=SAFE), body)}
        return _Request(headers, body)

    def _post(self, request: _Request) -> None:
        """A connection that was kept open may have been closed by the other side meanwhile: then on a new one."""
        with suppress(IndexError, http.client.RemoteDisconnected, ConnectionError):
            return self._post_on(self._idle.pop(), request)
        self._post_on(self._connection(), request)

    def _post_on(self, connection: http.client.HTTPConnection, request: _Request) -> None:
        try:
            connection.request("POST", self._target, request.body, request.headers)
            answer = connection.getresponse()
            answer.read()
        except BaseException:
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            self._idle.append(connection)
        self._check(answer)

    def _check(self, answer: http.client.HTTPResponse) -> None:
        if 200 <= answer.status < 300:
            return
        message = f"{self._name} answered {answer.status} {answer.reason}"
        if answer.status in LATER:
            raise RetryableError(message, retry_after=answer.getheader("Retry-After"))
        raise WebhookRefused(message)

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)

    def close(self) -> None:
        """Close the connections that are kept open."""
        while self._idle:
            self._idle.pop().close()

    def __del__(self) -> None:
        self.close()
