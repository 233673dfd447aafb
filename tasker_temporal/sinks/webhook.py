"""A sink that is an HTTP endpoint: CloudEvents 1.0 in POST requests, signed if there is a secret."""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from urllib.parse import SplitResult, quote, urlsplit

from pydantic import Field

from tasker_temporal.errors import PartlyTaken, RetryableError, WebhookRefused
from tasker_temporal.options import check_options
from tasker_temporal.sinks.events import TaskEvent
from tasker_temporal.sinks.signature import key_of, signed

Mode = Literal["batch", "structured", "binary"]

THREADS = 32
"""So many requests at a time."""

SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What a header says as it is; all else is percent-encoded, as CloudEvents' HTTP binding has it."""

ANSWER = 64 * 1024
"""So much of an answer's body is read, so that the connection can be used again. Nothing in it matters."""

LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""Answers whose `Retry-After` is heeded."""


class _Request(NamedTuple):
    headers: dict[str, str]
    body: bytes


class _Clock:
    """Ends a request that takes too long, also one whose answer comes byte by byte. It runs in the event loop."""

    def __init__(self, connection: http.client.HTTPConnection, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._connection, self._loop, self._timeout = connection, loop, timeout
        self._running: asyncio.TimerHandle | None = None
        self.is_over = False

    def start(self) -> None:
        self._loop.call_soon_threadsafe(self._start)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop)

    def _start(self) -> None:
        self._running = self._loop.call_later(self._timeout, self._end)

    def _stop(self) -> None:
        if self._running is not None:
            self._running.cancel()

    def _end(self) -> None:
        """Whoever reads from the socket in a thread sees its end; a TLS socket's own `shutdown` would confuse it."""
        self.is_over = True
        if self._connection.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._connection.sock, socket.SHUT_RDWR)


class WebhookOptions(TypedDict, total=False):
    """The arguments of `Webhook`."""

    url: Annotated[str, Field(min_length=1, repr=False)]
    mode: Mode
    headers: Annotated[Mapping[str, Any], Field(repr=False)]
    timeout: Annotated[float, Field(gt=0)]
    tls: ssl.SSLContext


class Webhook:
    """Posts events to a URL. An answer of 2xx takes them; anything else, and silence, is tried again.

    Args:
        url: `https://` or `http://`. Redirects are not followed, proxies not asked.
        secret: Signs each request (`verify_webhook` checks it). Of several, each signs it. Without any, nothing does.
        mode: `batch`: a JSON array of events a request, `application/cloudevents-batch+json`. `structured`: an event a
            request, `application/cloudevents+json`. `binary`: an event a request, its attributes in `ce-` headers.
        headers: Sent with each request, as an `Authorization`.
        timeout: Seconds that one request may take, with its answer.
        tls: For certificates of your own; as it comes, the system's authorities are trusted.

    Raises:
        OptionError: an option has a value that it cannot have. The message has no secret in it.
        ValueError: the URL, a secret or a header cannot be used. The message has no secret in it.
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
        said = {"url": url or "", "mode": mode, "headers": headers, "timeout": timeout, "tls": tls}
        check_options("Webhook", WebhookOptions, said)
        self._threads = ThreadPoolExecutor(THREADS, "tasker-webhook")
        parts, self._port = _checked(url)
        self._host = parts.hostname or ""
        self._name = f"{parts.scheme}://{self._host}{parts.path}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._target = quote(target, safe="".join(map(chr, range(0x21, 0x7F))))
        self._tls = tls or (ssl.create_default_context() if parts.scheme == "https" else None)
        self._secrets = _checked_secrets(secret)
        self._mode, self._headers, self._timeout = mode, _checked_headers(headers or {}), timeout

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
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._post, request, loop)

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

    def _post(self, request: _Request, loop: asyncio.AbstractEventLoop) -> None:
        """A connection that was kept open may have been closed by the other side meanwhile: then on a new one."""
        with suppress(IndexError, http.client.RemoteDisconnected, ConnectionError):
            return self._post_on(self._idle.pop(), request, loop)
        self._post_on(self._connection(), request, loop)

    def _post_on(
        self, connection: http.client.HTTPConnection, request: _Request, loop: asyncio.AbstractEventLoop
    ) -> None:
        clock = _Clock(connection, loop, self._timeout)
        clock.start()
        try:
            answer = self._answer(connection, request, clock)
        except BaseException as error:
            connection.close()
            if clock.is_over or isinstance(error, TimeoutError):
                raise TimeoutError(f"{self._name} did not answer within {self._timeout:g} s") from error
            raise
        finally:
            clock.stop()
        if answer.will_close or not answer.isclosed():
            connection.close()
        else:
            self._idle.append(connection)
        self._check(answer)

    def _answer(
        self, connection: http.client.HTTPConnection, request: _Request, clock: _Clock
    ) -> http.client.HTTPResponse:
        if connection.sock is None:
            connection.connect()
        if not clock.is_over:
            connection.request("POST", self._target, request.body, request.headers)
            answer = connection.getresponse()
            answer.read(ANSWER)
        # The end of a socket that was shut looks like the end of an answer.
        if clock.is_over:
            raise TimeoutError
        return answer

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
        # It may have been called with what it cannot take.
        if hasattr(self, "_idle"):
            self.close()


def _checked(url: str) -> tuple[SplitResult, int | None]:
    """Its parts, and its port."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("the webhook's URL is none: expected one as https://example.com/hooks") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        said = f"{parts.scheme}://{parts.hostname or ''}"
        raise ValueError(f"webhook {said!r}: expected a URL as https://example.com/hooks")
    if parts.username is not None or parts.password is not None:
        message = "its URL has a user or a password, which nobody would be sent: pass headers={'Authorization': ...}"
        raise ValueError(f"webhook {f'{parts.scheme}://{parts.hostname}'!r}: {message}")
    return parts, port


def _checked_secrets(secret: str | Sequence[str] | None) -> tuple[str, ...]:
    """An empty secret would sign as anybody can; a variable that is not set must not turn signatures off."""
    found = tuple(secret) if isinstance(secret, (list, tuple)) else (secret,)
    for one in found:
        if one is not None and not isinstance(one, str):
            raise ValueError(
                f"the webhook's secret is of type {type(one).__name__}: expected a text, or a list of them"
            )
        if not one or not one.strip():
            raise ValueError("the webhook's secret is empty: expected one, or none at all for no signature")
        if one != one.strip():
            raise ValueError("the webhook's secret begins or ends with white space, perhaps the end of a file's line")
        key_of(one)
    return tuple(one for one in found if one)


def _checked_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """What http.client would refuse at each request, with the value in its words."""
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ValueError(f"the webhook's header {name!r}: expected a name as 'Authorization'")
        if not isinstance(value, str) or not re.fullmatch(r"[\t\x20-\x7e\xa0-\xff]*", value):
            raise ValueError(f"the webhook's header {name!r}: its value is no line of text as HTTP has it")
    return dict(headers)
