"""Connects as Temporal's own tools do: options first, then the environment, then the configuration file."""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal.cli.process import WrongUse
from tasker_temporal.plugin import TaskerPlugin

ADDRESS = "localhost:7233"
"""Where the server is, if nothing says so."""

PATIENCE = 10.0
"""Seconds within which it must answer."""


class Connection(NamedTuple):
    """What the command's options say about the server."""

    address: str | None = None
    namespace: str | None = None
    profile: str | None = None


async def connect(connection: Connection, plugin: TaskerPlugin) -> Client:
    """Connect, and make sure that the namespace is there.

    Raises:
        WrongUse: nobody answers, or there is no such namespace.
    """
    config = _config(connection)
    address = config["target_host"]
    try:
        async with asyncio.timeout(PATIENCE):
            client = await Client.connect(**config, plugins=[plugin])
    except (RuntimeError, ValueError, TimeoutError) as error:
        raise WrongUse(
            f"no Temporal server answers at {address} ({_short(error)}): "
            "start one with `tasker dev`, or say where it is with --address or TEMPORAL_ADDRESS"
        ) from error
    await _check_namespace(client, address)
    return client


def _config(connection: Connection) -> ClientConnectConfig:
    try:
        config = ClientConfig.load_client_connect_config(connection.profile)
    except Exception as error:
        raise WrongUse(f"the connection's configuration cannot be used: {error}") from error
    config.setdefault("target_host", ADDRESS)
    if connection.address is not None:
        config["target_host"] = connection.address
    if connection.namespace is not None:
        config["namespace"] = connection.namespace
    return config


def _short(error: Exception) -> str:
    """The SDK's message nests its causes; the innermost one tells a person something."""
    causes = re.findall(r'(?:message|error): "([^"]+)"', str(error))
    return causes[-1] if causes else str(error) or f"nothing came within {PATIENCE:g} s"


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
