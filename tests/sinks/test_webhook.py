"""Webhooks: CloudEvents in three modes, signed; what is not answered with 2xx comes again, when it was asked for."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote

import pytest

from tasker_temporal import RetryableError
from tasker_temporal.errors import SignatureError
from tasker_temporal.sinks import PartlyTaken, TaskEvent, Webhook, WebhookRefused, verify_webhook
from tasker_temporal.sinks.webhook import Mode
from tests.sinks.receiver import Answer, Got, receiving
from tests.sinks.some import some_events

SECRET = "whsec_" + base64.b64encode(b"a secret of some length").decode()


async def test_a_batch_is_one_request() -> None:
    events = await some_events()
    with receiving() as receiver:
        await Webhook(receiver.url)(events)
    (got,) = receiver.got
    assert got.headers["content-type"] == "application/cloudevents-batch+json; charset=utf-8"
    assert got.events == events


async def test_structured_events_are_one_request_each() -> None:
    events = await some_events()
    with receiving() as receiver:
        await Webhook(receiver.url, mode="structured")(events)
    assert {got.headers["content-type"] for got in receiver.got} == {"application/cloudevents+json; charset=utf-8"}
    assert [json.loads(got.body) for got in receiver.got] == [json.loads(event.json_bytes()) for event in events]
    assert receiver.taken == events


def of_binary(got: Got) -> TaskEvent:
    attributes = {name[3:]: unquote(value) for name, value in got.headers.items() if name.startswith("ce-")}
    return TaskEvent.model_validate({**attributes, "data": json.loads(got.body)})


async def test_binary_events_have_their_attributes_in_headers() -> None:
    events = await some_events('bestellung "grün" 100%')
    with receiving() as receiver:
        await Webhook(receiver.url, mode="binary", headers={"Authorization": "Bearer abc"})(events)
    assert [of_binary(got) for got in receiver.got] == events
    headers = receiver.got[0].headers
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer abc"
    assert headers["ce-subject"] == "bestellung%20%22gr%C3%BCn%22%20100%25"
    assert headers["ce-type"] == "task.initialize_requested"
    assert "ce-datacontenttype" not in headers


async def test_the_envelope_is_a_cloud_event() -> None:
    event = (await some_events())[-1]
    plain = json.loads(event.json_bytes())
    data = plain.pop("data")
    assert plain == {
        "specversion": "1.0",
        "id": f"order-1/{data['sort_key']}/{data['digest'][:12]}",
        "source": "tasker://default/sinks.some",
        "type": "task.completed",
        "subject": "order-1",
        "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "sequence": "0000000006",
        "sink": "audit",
        "templateversion": "1.2.0",
        "templatedigest": plain["templatedigest"],
        "contextdigest": plain["contextdigest"],
    }
    assert all(name.isascii() and name.isalnum() and name.islower() and len(name) <= 20 for name in plain)


@pytest.mark.parametrize("mode", ["batch", "structured", "binary"])
async def test_each_request_is_signed_with_each_secret(mode: Mode) -> None:
    with receiving() as receiver:
        await Webhook(receiver.url, mode=mode, secret=[SECRET, "the new one"])(await some_events())
    for got in receiver.got:
        verify_webhook(SECRET, got.headers, got.body)
        verify_webhook("the new one", got.headers, got.body)
        with pytest.raises(SignatureError, match="no signature of the webhook is of this secret"):
            verify_webhook(SECRET, got.headers, got.body + b" ")
        with pytest.raises(SignatureError, match="no signature of the webhook is of this secret"):
            verify_webhook("another", got.headers, got.body)
        with pytest.raises(SignatureError, match="more than 300 s away from now"):
            verify_webhook(SECRET, got.headers, got.body, now=time.time() + 400)
        with pytest.raises(SignatureError, match="is no number of seconds"):
            verify_webhook(SECRET, {**got.headers, "webhook-timestamp": "now"}, got.body)
        with pytest.raises(SignatureError, match="has no header 'webhook-signature'"):
            verify_webhook(SECRET, {n: v for n, v in got.headers.items() if n != "webhook-signature"}, got.body)


async def test_the_same_batch_has_the_same_id_each_time() -> None:
    events = await some_events()
    with receiving() as receiver:
        webhook = Webhook(receiver.url, secret=SECRET)
        await webhook(events)
        await webhook(events)
    assert receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]
    assert receiver.got[0].body == receiver.got[1].body


@pytest.mark.parametrize("status", [301, 400, 404, 410, 500])
async def test_what_is_not_2xx_takes_nothing(status: int) -> None:
    with receiving(answers=[Answer(status)]) as receiver:
        url = f"{receiver.url}?token=hidden"
        with pytest.raises(WebhookRefused, match=rf"^http://127\.0\.0\.1/hooks answered {status} ") as caught:
            await Webhook(url)(await some_events())
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_may_say_when_it_wants_to_be_asked_again(status: int) -> None:
    answers = [Answer(status, {"Retry-After": "17"})]
    with receiving(answers=answers) as receiver, pytest.raises(RetryableError) as caught:
        await Webhook(receiver.url)(await some_events())
    assert caught.value.retry_after == "17"


async def test_of_events_sent_one_by_one_those_before_the_trouble_are_taken() -> None:
    events = await some_events()
    with receiving(answers=[Answer(), Answer(), Answer(500)]) as receiver, pytest.raises(PartlyTaken) as caught:
        await Webhook(receiver.url, mode="structured")(events)
    assert caught.value.count == 2
    assert isinstance(caught.value.error, WebhookRefused)
    assert receiver.taken == events[:2]


async def test_a_connection_that_the_receiver_closed_is_opened_anew() -> None:
    events = await some_events()
    with receiving() as receiver:
        webhook = Webhook(receiver.url)
        await webhook(events)
    port = int(receiver.url.split(":")[2].split("/")[0])
    with receiving(port) as receiver:
        await webhook(events)
        assert receiver.taken == events
    webhook.close()


async def test_nobody_there_is_an_error() -> None:
    with receiving() as receiver:
        pass
    with pytest.raises(ConnectionRefusedError):
        await Webhook(receiver.url)(await some_events())


def test_a_url_and_a_secret_must_be_usable() -> None:
    with pytest.raises(ValueError, match="expected a URL as https"):
        Webhook("ftp://example.com")
    with pytest.raises(ValueError, match="goes on in base64"):
        Webhook("https://example.com", secret="whsec_no base64!")
    assert repr(Webhook("https://example.com/a?token=b")) == "Webhook('https://example.com/a', mode='batch')"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"url": "htps://me:hidden@example.com/?hidden"}, "expected a URL as https"),
        ({"url": "https://me:hidden@example.com/"}, "pass headers="),
        ({"url": "https://example.com:hidden/"}, "the webhook's URL is none"),
        ({"secret": None}, "the webhook's secret is empty"),
        ({"secret": ""}, "the webhook's secret is empty"),
        ({"secret": ["new", " "]}, "the webhook's secret is empty"),
        ({"secret": "hidden\n"}, "begins or ends with white space"),
        ({"headers": {"Authorization": "Bearer hidden\n"}}, "header 'Authorization': its value is no line of text"),
        ({"headers": {"Authorization": None}}, "header 'Authorization': its value is no line of text"),
        ({"headers": {"X-Größe": "1"}}, "header 'X-Größe': expected a name"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once_without_telling_a_secret(
    arguments: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected) as caught:
        Webhook(**{"url": "https://example.com/hooks", **arguments})
    assert "hidden" not in str(caught.value)


async def test_a_path_of_any_letters_is_sent_as_a_url_has_it() -> None:
    with receiving() as receiver:
        await Webhook(f"{receiver.url}/über uns?q=%20ä")(await some_events())
    assert len(receiver.taken) == len(await some_events())


# Receivers that are none.


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Each connection is answered by the function, in a thread of its own, when its request is there."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                taken.append(listening.accept()[0])
                threading.Thread(target=talk, args=[taken[-1]], daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.recv(1_000_000)
            answer(connection)

    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/hooks"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for each in taken:
                each.close()


def drips(connection: socket.socket) -> None:
    """A byte of a header now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        connection.sendall(b"a")
        threading.Event().wait(0.02)


def drips_a_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 60000\r\n\r\n")
    while True:
        connection.sendall(b"a")
        threading.Event().wait(0.02)


@pytest.mark.parametrize("slow", [drips, drips_a_body])
async def test_a_receiver_that_never_comes_to_an_end_is_given_up(slow: Callable[[socket.socket], None]) -> None:
    with serving(slow) as url, pytest.raises(TimeoutError, match=r"/hooks did not answer within 0\.3 s"):
        await Webhook(url, timeout=0.3)(await some_events())


async def test_of_an_answer_without_an_end_only_a_little_is_read() -> None:
    def pours(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"a" * 65_536)

    with serving(pours) as url:
        await Webhook(url)(await some_events())


async def test_a_connection_on_which_more_of_an_answer_may_come_is_not_used_again() -> None:
    connections: list[int] = []

    def says_much(connection: socket.socket) -> None:
        connections.append(connection.fileno())
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"a" * 200_000)

    events = await some_events()
    with serving(says_much) as url:
        webhook = Webhook(url)
        await webhook(events)
        await webhook(events)
    assert len(connections) == 2


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20", b"SSH-2.0-OpenSSH_9.6\r\n", b"\0" * 10])
async def test_what_is_no_answer_takes_nothing(said: bytes) -> None:
    def says(connection: socket.socket) -> None:
        connection.sendall(said)
        connection.close()

    with serving(says) as url, pytest.raises((ConnectionError, HTTPException)):
        await Webhook(url)(await some_events())
