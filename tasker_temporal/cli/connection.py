"""Connects as Temporal's own tools do: options first, then the environment, then the configuration file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import WrongUse
from tasker_temporal.cli.telling import tell_core_logs
from tasker_temporal.cli.unreachable import unreachable
from tasker_temporal.plugin import TaskerPlugin

ADDRESS = "localhost:7233"
"""Where the server is, if nothing says so."""

PATIENCE = 10.0
"""Seconds within which it must answer."""


@asynccontextmanager
async def connected(
    connection: Connection, plugin: TaskerPlugin | None = None, about: str = ""
) -> AsyncIterator[Client]:
    """A client for the block. What the server refuses in it is told in one line.

    Args:
        about: What is asked after, as `task 'order-1'`.

    Raises:
        WrongUse: there is no server, no such task, or no worker that answers.
    """
    client = await connect(connection, plugin or TaskerPlugin())
    try:
        yield client
    except RPCError as error:
        raise WrongUse(_refusal(error, client, about)) from error


UNANSWERED = (RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
"""How a query ends that no worker takes."""


def _refusal(error: RPCError, client: Client, about: str) -> str:
    if error.status is RPCStatusCode.NOT_FOUND and about:
        verb = "tasker schedule list" if about.startswith("schedule") else "tasker list"
        return f"there is no {about} in namespace {client.namespace!r}: look for it with `{verb}`"
    if error.status in UNANSWERED:
        return f"no worker answers for {about or 'it'} ({error.message}): start one with `tasker worker`, and ask again"
    return f"the server refuses {about or 'it'} ({error.status.name.lower()}): {error.message}"


async def connect(connection: Connection, plugin: TaskerPlugin) -> Client:
    """Connect, and make sure that the namespace is there.

    Raises:
        WrongUse: nobody answers, or there is no such namespace.
    """
    config = _config(connection)
    address = config["target_host"]
    tell_core_logs()
    try:
        async with asyncio.timeout(PATIENCE):
            client = await Client.connect(**config, plugins=[plugin])
    except (RuntimeError, ValueError, TimeoutError) as error:
        told = str(error) or f"nothing came within {PATIENCE:g} s"
        with_key = config.get("api_key") is not None
        secured = bool(config.get("tls", with_key))
        raise WrongUse(unreachable(address, told, secured=secured, with_key=with_key)) from error
    await _check_namespace(client, address)
    return client


def _config(connection: Connection) -> ClientConnectConfig:
    try:
        config = ClientConfig.load_client_connect_config(connection.profile)
    except Exception as error:
        raise WrongUse(f"the connection's configuration cannot be used: {' '.join(str(error).split())}") from error
    config.setdefault("target_host", ADDRESS)
    if connection.address is not None:
        config["target_host"] = connection.address
    if connection.namespace is not None:
        config["namespace"] = connection.namespace
    if connection.api_key is not None:
        config["api_key"] = connection.api_key
    if not re.fullmatch(r"[^\s/]+:\d+", config["target_host"]):
        raise WrongUse(
            f"address {config['target_host']!r}: expected HOST:PORT, as in localhost:7233; "
            "it is said with --address or TEMPORAL_ADDRESS"
        )
    return _secured(config, connection)


def _secured(config: ClientConnectConfig, connection: Connection) -> ClientConnectConfig:
    """What options say of TLS takes the place of what the configuration says, one by one."""
    given: dict[str, Any] = {
        "client_cert": _certificate(connection.tls_cert_path),
        "client_private_key": _bytes(connection.tls_key_path),
        "server_root_ca_cert": _certificate(connection.tls_ca_path),
        "domain": connection.tls_server_name,
    }
    configured = config.get("tls")
    known = configured if isinstance(configured, TLSConfig) else TLSConfig()
    if said := {name: value for name, value in given.items() if value is not None}:
        config["tls"] = replace(known, **said)
    elif connection.tls:
        config["tls"] = configured or True
    return config


def _certificate(file: Path | None) -> bytes | None:
    pem = _bytes(file)
    if pem is not None and b"-----BEGIN" not in pem:
        raise WrongUse(
            f"file {str(file)!r} is no certificate: expected one in PEM, from -----BEGIN CERTIFICATE----- on"
        )
    return pem


def _bytes(file: Path | None) -> bytes | None:
    try:
        return file.read_bytes() if file else None
    except OSError as error:
        raise WrongUse(f"file {str(file)!r} cannot be read: {error.strerror}") from error


async def _check_namespace(client: Client, address: str) -> None:
    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        # Whoever may not ask may still be allowed to work.
        if error.status is RPCStatusCode.NOT_FOUND:
            raise WrongUse(
                f"the server at {address} has no namespace {client.namespace!r}: "
                "create it, or name another one with --namespace or TEMPORAL_NAMESPACE"
            ) from error
