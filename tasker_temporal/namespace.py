"""What a namespace must have for lists of tasks: whether it does, and how it gets it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal.attributes import KEYS, type_name
from tasker_temporal.errors import SearchAttributesMissing

Wanted = bool | Literal["auto"]

UNTOLD = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.UNAUTHENTICATED)
"""How a server answers whoever may not ask, or if it cannot tell."""


class Listing:
    """Whether new tasks tell search attributes.

    Args:
        wanted: `auto`: if the namespace has them, which is asked once for each.
    """

    def __init__(self, wanted: Wanted = "auto") -> None:
        self._wanted = wanted
        self._decided: dict[tuple[str, str], bool] = {}

    @property
    def is_wanted(self) -> bool:
        """They are to be told in any case."""
        return self._wanted is True

    async def decide(self, client: Client) -> bool:
        """Whether tasks tell them on the client's namespace.

        Raises:
            SearchAttributesMissing: they are wanted, and the namespace does not have them.
        """
        where = client.service_client.config.target_host, client.namespace
        if where not in self._decided:
            self._decided[where] = self._wanted is not False and await self._asked(client)
        return self._decided[where]

    async def decide_anyway(self, client: Client) -> bool:
        """As `decide`, for a task that has begun: what raises would be tried again and again."""
        with suppress(RPCError, SearchAttributesMissing):
            return await self.decide(client)
        return False

    async def _asked(self, client: Client) -> bool:
        try:
            lacking = await missing(client)
        except (RPCError, SearchAttributesMissing):
            if self.is_wanted:
                raise
            return False
        if lacking and self.is_wanted:
            raise SearchAttributesMissing(
                f"namespace {client.namespace!r} lacks the search attributes {', '.join(lacking)}: "
                "add them with `tasker setup`, or pass search_attributes=False"
            )
        return self.is_wanted if lacking is None else not lacking


async def missing(client: Client) -> Sequence[str] | None:
    """The search attributes that the client's namespace lacks; None if the server does not tell.

    Raises:
        SearchAttributesMissing: one is there, but is of another type.
    """
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        found = (await client.operator_service.list_search_attributes(request)).custom_attributes
    except RPCError as error:
        if error.status not in UNTOLD:
            raise
        return await _tried(client)
    for name, kind in KEYS.items():
        if found.get(name, kind) != kind:
            what = f"search attribute {name} of namespace {client.namespace!r} is of type {type_name(found[name])}"
            raise SearchAttributesMissing(f"{what}: expected {type_name(kind)}")
    return [name for name in KEYS if name not in found]


async def _tried(client: Client) -> Sequence[str] | None:
    """Whoever may not ask for their list can still ask for a task that has none of them."""
    query = " AND ".join(["WorkflowId = 'tasker'", *(f"{name} IS NULL" for name in KEYS)])
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, page_size=1, query=query)
    try:
        await client.workflow_service.list_workflow_executions(request)
    except RPCError as error:
        return list(KEYS) if error.status is RPCStatusCode.INVALID_ARGUMENT else None
    return []


async def add(client: Client) -> Sequence[str]:
    """Add the search attributes that the namespace lacks, and say which they were.

    Raises:
        SearchAttributesMissing: one is there, but is of another type.
        RPCError: the server refuses.
    """
    lacking = await missing(client)
    names = list(KEYS) if lacking is None else lacking
    if names:
        wanted = {name: KEYS[name] for name in names}
        request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
        await client.operator_service.add_search_attributes(request)
    return names
