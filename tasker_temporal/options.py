"""Checks what a call of the library was given, by the annotations of its options."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from tasker_temporal.core import wording
from tasker_temporal.errors import OptionError


def check_options(call: str, kinds: type, said: Mapping[str, Any]) -> None:
    """See to it that there are such options, and that their values are of the annotated types: nothing is converted.

    Args:
        call: The name of the function or class.
        kinds: A class whose annotations are the options, as a TypedDict. None is always taken, as not said.

    Raises:
        OptionError: with every mistake.
    """
    model = _model(kinds)
    given = {name: value for name, value in said.items() if value is not None or name not in model.model_fields}
    try:
        model.model_validate(given)
    except ValidationError as error:
        raise OptionError(call, wording.told(error, model, given)) from None


@lru_cache(maxsize=64)
def _model(kinds: type) -> type[BaseModel]:
    hints = typing.get_type_hints(kinds, include_extras=True)
    fields: dict[str, Any] = {name: (hint, None) for name, hint in hints.items()}
    strict = ConfigDict(arbitrary_types_allowed=True, extra="forbid", strict=True)
    return create_model(kinds.__name__, __config__=strict, **fields)
