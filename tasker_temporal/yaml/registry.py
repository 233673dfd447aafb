"""What a YAML file can name: the functions and types that were registered for it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from tasker_temporal.custom_events import CustomEvent
from tasker_temporal.signature import MISSING, Signature, read, type_name

Handlers = Mapping[str, Any] | ModuleType | object
"""Names and functions: a mapping, a module (what it defines itself), or an object (its public attributes).

Types may stand beside them, so that the file can name the context's and the events', and the template's custom events.
"""

PLAIN: Final[Mapping[str, Any]] = {
    type_name(kind): kind for kind in (Any, dict, list, str, int, float, bool, type(None))
}  # fmt: skip


@dataclass(frozen=True)
class Handler:
    """A registered function. `names` are those that its annotations may use beside its module's own."""

    name: str
    function: Callable[..., Any] | None
    names: Mapping[str, Any] = field(default_factory=dict)


class Registry:
    """What was registered, by name."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers: dict[str, Handler] = {}
        self.types: dict[str, Any] = dict(PLAIN)
        self.custom_events: list[CustomEvent[Any]] = []
        for name, value in _public(handlers):
            if isinstance(value, type):
                self.types[name] = value
            elif isinstance(value, CustomEvent):
                self.custom_events.append(value)
            elif callable(value):
                function = getattr(value, "function", value) if _is_declared(value) else value
                self.handlers[name] = Handler(name, function, getattr(value, "_names", {}))
        for handler in self.handlers.values():
            # What has no signature, as some functions of C, is told when a step names it.
            with suppress(ValueError):
                if handler.function is not None:
                    self._learn(read(handler.function, handler.names))

    def _learn(self, signature: Signature) -> None:
        """A type that some handler's signature has can be named as people read it there."""
        hints = [signature.result, *(binding.type for binding in signature.bindings)]
        for hint in (hint for hint in hints if hint is not MISSING):
            self.types.setdefault(type_name(hint), hint)


def _is_declared(value: Any) -> bool:
    """A step of another template lends its function."""
    return hasattr(value, "signature") and hasattr(value, "function") and hasattr(value, "template")


def _public(handlers: Handlers) -> Iterator[tuple[str, Any]]:
    if isinstance(handlers, Mapping):
        yield from handlers.items()
    elif isinstance(handlers, ModuleType):
        yield from _of_module(handlers)
    else:
        yield from ((name, getattr(handlers, name)) for name in dir(handlers) if not name.startswith("_"))


def _of_module(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """What it says to be public, else what it defines: what it only imports is not meant to be named in a file."""
    said = getattr(module, "__all__", None)
    for name, value in vars(module).items():
        if name in said if said is not None else _is_own(module, name, value):
            yield name, value


def _is_own(module: ModuleType, name: str, value: Any) -> bool:
    if isinstance(value, CustomEvent):
        return True
    return not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
