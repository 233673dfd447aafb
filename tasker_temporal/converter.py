"""The SDK's pydantic converter, made when it is first needed.

The SDK makes a payload converter twice in each activation of a workflow, and uses none of them: a workflow passes
payloads through undecoded. Made at once, they cost more than what the library itself does for a step of a chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final, Self

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import EncodingPayloadConverter, SerializationContext, WithSerializationContext

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
