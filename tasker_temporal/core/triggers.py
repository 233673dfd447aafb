"""When does a step run? Triggers as data: what has to become of which steps, what has to come, how long it has to be.

Each kind is one JSON object, and the words are those of Python and YAML: `{"completed": "charge"}`,
`{"at_least": 2, "of": [...]}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Final, Union

from pydantic import Discriminator, Field, Tag

from tasker_temporal.core.values import Frozen


class Completed(Frozen):
    """The step is complete, or was resolved by hand."""

    completed: str


class Failed(Frozen):
    """The step has failed for good. Whatever runs because of it handles the failure."""

    failed: str


class Ended(Frozen):
    """The step is over, however; a failure for good included. It forgives nothing."""

    ended: str


class Skipped(Frozen):
    """The step was skipped."""

    skipped: str


class Chosen(Frozen):
    """The decision step has chosen this branch, alone or among others."""

    chosen: str
    branch: str


class Received(Frozen):
    """The external event has come, with a payload that `match`, an expression over `event` and `context`, accepts."""

    received: str
    match: str = ""


class Elapsed(Frozen):
    """So much time is over, counted from when all holds that has to hold beside it."""

    elapsed: timedelta = Field(gt=timedelta(0))


class AllOf(Frozen):
    """Each of them."""

    all_of: tuple[Trigger, ...] = Field(min_length=1)


class AnyOf(Frozen):
    """One of them."""

    any_of: tuple[Trigger, ...] = Field(min_length=1)


class AtLeast(Frozen):
    """So many of them."""

    at_least: int = Field(ge=1)
    of: tuple[Trigger, ...] = Field(min_length=1)


Leaf = Completed | Failed | Ended | Skipped | Chosen | Received | Elapsed
Group = AllOf | AnyOf | AtLeast

WORDS: Final[dict[str, type[Leaf | Group]]] = {
    "completed": Completed,
    "failed": Failed,
    "ended": Ended,
    "skipped": Skipped,
    "chosen": Chosen,
    "received": Received,
    "elapsed": Elapsed,
    "all_of": AllOf,
    "any_of": AnyOf,
    "at_least": AtLeast,
}
"""Each kind by the word that its JSON begins with."""


def _word(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((word for word in WORDS if word in value), None)
    return next((word for word, kind in WORDS.items() if isinstance(value, kind)), None)


Trigger = Annotated[
    Union[  # noqa: UP007 - the members are made of the table
        Annotated[Completed, Tag("completed")],
        Annotated[Failed, Tag("failed")],
        Annotated[Ended, Tag("ended")],
        Annotated[Skipped, Tag("skipped")],
        Annotated[Chosen, Tag("chosen")],
        Annotated[Received, Tag("received")],
        Annotated[Elapsed, Tag("elapsed")],
        Annotated[AllOf, Tag("all_of")],
        Annotated[AnyOf, Tag("any_of")],
        Annotated[AtLeast, Tag("at_least")],
    ],
    Discriminator(
        _word,
        custom_error_type="trigger_unknown",
        custom_error_message=f"expected one of {', '.join(WORDS)}",
    ),
]
"""Any of them, told apart by its word."""

for _group in (AllOf, AnyOf, AtLeast):
    _group.model_rebuild()


def parts(trigger: Leaf | Group) -> tuple[Leaf | Group, ...]:
    """What a group is made of; nothing for a leaf."""
    match trigger:
        case AllOf(all_of=found) | AnyOf(any_of=found) | AtLeast(of=found):
            return found
        case _:
            return ()


def leaves(trigger: Leaf | Group) -> Iterator[Leaf]:
    """What it asks for, from left to right. A leaf's place in this order is its number."""
    if isinstance(trigger, Group):
        for part in parts(trigger):
            yield from leaves(part)
    else:
        yield trigger


def step_of(leaf: Leaf) -> str | None:
    """The step that the leaf names."""
    match leaf:
        case Completed(completed=step) | Failed(failed=step) | Ended(ended=step) | Skipped(skipped=step):
            return step
        case Chosen(chosen=step):
            return step
        case _:
            return None


def steps_of(trigger: Leaf | Group | None) -> tuple[str, ...]:
    """The steps that the trigger names, each once."""
    found = () if trigger is None else (step_of(leaf) for leaf in leaves(trigger))
    return tuple(dict.fromkeys(step for step in found if step is not None))


def events_of(trigger: Leaf | Group | None) -> tuple[str, ...]:
    """The events that the trigger names, each once."""
    found = leaves(trigger) if trigger is not None else ()
    return tuple(dict.fromkeys(leaf.received for leaf in found if isinstance(leaf, Received)))


def said(trigger: Leaf | Group) -> str:
    """The trigger in one line, as Python writes it."""
    match trigger:
        case AtLeast(at_least=count, of=found):
            return f"at_least({count}, {', '.join(map(said, found))})"
        case AllOf() | AnyOf():
            return f"{_word(trigger)}({', '.join(map(said, parts(trigger)))})"
        case Chosen(chosen=step, branch=branch):
            return f"chosen({step}, {branch!r})"
        case Received(received=event, match=match):
            return f"received({event!r}, match={match!r})" if match else f"received({event!r})"
        case Elapsed(elapsed=time):
            return f"elapsed({time})"
        case _:
            return f"{_word(trigger)}({step_of(trigger)})"


class EventTemplate(Frozen):
    """An event from outside that tasks of this template understand."""

    name: str
    model: str = "Any"
    """The name of the type of its payload, for people."""
