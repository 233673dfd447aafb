"""The SDK's pydantic converter, made when it is first needed.

The SDK makes a payload converter twice in each activation of a workflow, and uses none of them: a workflow passes
payloads through undecoded. Made at once, they cost more than what the library itself does for a step of a chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final, Self

from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    DataConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
)

_TAKES_CONTEXT: Final = any(
    isinstance(encoding, WithSerializationContext) for encoding in PydanticPayloadConverter().converters.values()
)
"""None of them does today."""


class LazyPydanticConverter(PydanticPayloadConverter):
    """Does what `PydanticPayloadConverter` does."""

    def __init__(self) -> None:
        """Nothing is made yet."""

    @cached_property
    def converters(self) -> Mapping[bytes, EncodingPayloadConverter]:  # type: ignore[override]
        return PydanticPayloadConverter().converters

    def with_context(self, context: SerializationContext) -> Self:
        return super().with_context(context) if _TAKES_CONTEXT else self


def with_pydantic(converter: DataConverter | None) -> DataConverter:
    """Pydantic's JSON in the place of the SDK's default; a payload converter of the user's own stays."""
    configured = converter or DataConverter.default
    if configured.payload_converter_class not in (DefaultPayloadConverter, PydanticPayloadConverter):
        return configured
    return replace(configured, payload_converter_class=LazyPydanticConverter)


def converter_of(client: Client) -> PayloadConverter:
    """As the plugin would have it, also if the client was connected without."""
    return with_pydantic(client.data_converter).payload_converter
