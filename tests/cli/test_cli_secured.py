"""Connections with TLS, by an API key or by a certificate, through a gate that asks for them."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from tasker_temporal import TaskerPlugin
from tasker_temporal.cli.connection import connect
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import WrongUse
from tasker_temporal.dev import DevServer
from tests.cli.desk import PROJECT
from tests.cli.gate import Authority, Gate, Pair
from tests.cli.kit import Ended, Running, tasker, write

KEY = "a-key-that-is-known"

CODE = """
from tasker_temporal import TaskTemplate

far = TaskTemplate("gate.far", task_queue="{queue}")

@far.step
def greet() -> str:
    return "hello"

app = [far]
"""

PROFILES = """
[profile.keyed]
address = "{keyed}"
api_key = "{key}"
[profile.keyed.tls]
server_ca_cert_path = "{authority}"

[profile.mutual]
address = "{mutual}"
[profile.mutual.tls]
server_ca_cert_path = "{authority}"
client_cert_path = "{client.cert}"
client_key_path = "{client.key}"
"""


class Gates(NamedTuple):
    """Three gates before one server, and what opens them."""

    folder: Path
    server: str
    keyed: Gate
    mutual: Gate
    late: Gate
    authority: Path
    client: Pair

    @property
    def profiles(self) -> Path:
        """A configuration file of Temporal's."""
        file, told = self.folder / "temporal.toml", self._asdict()
        told |= {"keyed": self.keyed.target, "mutual": self.mutual.target, "key": KEY}
        file.write_text(PROFILES.format(**told))
        return file


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gates(server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gates]:
    folder = tmp_path_factory.mktemp("gates")
    authority = Authority(folder, "authority")
    pair, late = authority.issue("server"), authority.issue("late", lasts=timedelta(days=-1))
    async with (
        Gate(server.target, pair, key=KEY) as keyed,
        Gate(server.target, pair, clients=authority.cert) as mutual,
        Gate(server.target, late) as expired,
    ):
        client = authority.issue("client")
        yield Gates(folder, server.target, keyed, mutual, expired, authority.cert, client)


async def refused(connection: Connection) -> str:
    """Why it does not connect."""
    with pytest.raises(WrongUse) as told:
        await connect(connection, TaskerPlugin())
    return told.value.message


async def ended(folder: Path, environment: Mapping[str, str], *arguments: str) -> Ended:
    """How the command ends in this environment."""
    async with Running(*arguments, folder=folder, **environment) as running:
        return await running.ended()


def told(ended: Ended) -> dict[str, object]:
    assert (ended.code, ended.err) == (0, ""), ended
    answer: dict[str, object] = json.loads(ended.out)
    return answer


async def test_a_worker_and_every_verb_go_through_a_gate_by_key_by_certificate_and_by_profile(gates: Gates) -> None:
    queue, task = (f"{name}-{uuid.uuid4()}" for name in ("gate", "task"))
    folder = write(gates.folder, {"desk.py": CODE.format(queue=queue), "pyproject.toml": PROJECT})
    environment = {
        "TEMPORAL_ADDRESS": gates.keyed.target,
        "TEMPORAL_API_KEY": KEY,
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(gates.authority),
    }
    flags = ("--address", gates.mutual.target, "--tls-ca-path", str(gates.authority))
    pair = ("--tls-cert-path", str(gates.client.cert), "--tls-key-path", str(gates.client.key))
    profiles = {"TEMPORAL_CONFIG_FILE": str(gates.profiles)}
    async with Running("worker", folder=folder, **environment) as worker:
        await worker.until("Ctrl-C stops it.")
        begun = gates.keyed.passed, gates.mutual.passed
        started = await tasker("start", "gate.far", "--id", task, "--wait", "--json", *flags, *pair, folder=folder)
        looked = await asyncio.gather(
            ended(folder, profiles, "audit", task, "--verify", "--json", "--profile", "keyed"),
            ended(folder, profiles, "status", task, "--json", "--profile", "mutual"),
            ended(folder, environment, "why", task, "--json"),
        )
        worker.tell()
        assert (await worker.ended()).code == 0
    assert told(started)["state"] == "complete"
    assert [told(each).get("task_id") for each in looked] == [task] * 3
    assert gates.keyed.passed > begun[0]
    assert gates.mutual.passed > begun[1]


async def test_whoever_is_not_let_in_is_told_what_would_open(gates: Gates, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    stranger = other.issue("stranger")
    keyed = Connection(address=gates.keyed.target, tls_ca_path=gates.authority, api_key=KEY)
    mutual = keyed._replace(address=gates.mutual.target, api_key=None)
    client = mutual._replace(tls_cert_path=gates.client.cert, tls_key_path=gates.client.key)
    nonsense, plain = tmp_path / "nonsense.pem", tmp_path / "plain.txt"
    nonsense.write_text("-----BEGIN nothing")
    plain.write_text("nothing")
    given = {
        keyed._replace(
            api_key=None
        ): r"\(it does not take a client without an API key\): pass one that is valid with --a",
        keyed._replace(
            api_key="wrong"
        ): r"\(it does not take the API key\): pass one that is valid with --api-key or T",
        keyed._replace(tls_ca_path=other.cert): r"\(its certificate is signed by an authority that is not known here\)",
        keyed._replace(tls_ca_path=None): "name that authority's certificate with --tls-ca-path or TEMPORAL_TLS_SERVER",
        keyed._replace(tls_server_name="far.example"): "its certificate is for another name.*--tls-server-name",
        mutual._replace(address=gates.late.target): r"\(its certificate has expired on \d{4}-\d\d-\d\d\): renew the",
        Connection(
            address=gates.keyed.target
        ): r"does not speak as Temporal does\): if it speaks TLS, pass --tls or --",
        Connection(address=gates.server, tls=True): r"\(it does not speak TLS\): leave out what turns TLS on",
        Connection(address=gates.server, api_key=KEY): r"\(it does not speak TLS\): leave out what turns TLS on",
        mutual: r"takes no client without a certificate of its own\): pass one that it takes with --tls-cert-path",
        mutual._replace(
            tls_cert_path=stranger.cert, tls_key_path=stranger.key
        ): "no client without a certificate of its",
        client._replace(tls_key_path=None): r"come only together\): pass both with --tls-cert-path and --tls-key-path",
        client._replace(
            tls_key_path=stranger.key
        ): r"and key do not belong together\): pass a pair with --tls-cert-path",
        client._replace(
            tls_key_path=nonsense
        ): r"the client's private key is none in PEM\): pass one with --tls-cert-p",
        client._replace(tls_cert_path=nonsense): r"a certificate is none in PEM\): pass another",
        client._replace(tls_ca_path=plain): r"^file '.*plain\.txt' is no certificate: expected one in PEM",
        client._replace(tls_cert_path=tmp_path / "none"): r"^file '.*none' cannot be read: No such file",
    }
    messages = await asyncio.gather(*map(refused, given))
    for message, (options, expected) in zip(messages, given.items(), strict=True):
        assert re.search(expected, message), (options, message)
        assert "\n" not in message


async def test_a_closed_gate_is_one_line_and_code_2(gates: Gates, tmp_path: Path) -> None:
    write(tmp_path, {"desk.py": CODE.format(queue="none"), "pyproject.toml": PROJECT})
    given = ("--address", gates.keyed.target, "--tls-ca-path", str(gates.authority), "--api-key", "wrong")
    for ended in await asyncio.gather(*(tasker(verb, *given, folder=tmp_path) for verb in ("worker", "list"))):
        assert (ended.code, ended.out) == (2, "")
        [line] = ended.err.splitlines()
        assert line.startswith(
            f"Error: no connection to the server at {gates.keyed.target} (it does not take the API k"
        )


@pytest.mark.parametrize("address", ["localhost", "http://localhost:7233", "", "local host:7233"])
async def test_an_address_is_a_host_and_a_port(address: str) -> None:
    assert (await refused(Connection(address=address))).startswith(
        f"address {address!r}: expected HOST:PORT, as in localhost:7233"
    )
