"""What an edit of a template changes for new tasks, and what it leaves to those that run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from tasker_temporal.checks.finding import Finding, finding
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.core.triggers import WORDS, Chosen, Completed, Ended, Failed, Skipped

OWN = ("name", "formerly")
"""What a step is called is told otherwise."""


class Change(NamedTuple):
    """One difference. `step` is empty if it is one of the template; of a new or a removed step `field` is empty."""

    step: str
    what: str
    """`added`, `removed`, `renamed` or `changed`."""
    field: str = ""
    old: Any = None
    new: Any = None


class Comparison(NamedTuple):
    """Two templates, the old one first."""

    old_digest: str
    new_digest: str
    changes: tuple[Change, ...]
    needed: tuple[str, ...]
    """The activity types that running tasks still need, and no handler of the new template serves."""
    findings: tuple[Finding, ...]

    @property
    def same(self) -> bool:
        """New tasks get the same graph."""
        return self.old_digest == self.new_digest


def compare(old: Any, new: Any) -> Comparison:
    """What is different for tasks that start from now on. Those that run keep the graph that they started with.

    Args:
        old: A `TaskTemplate`, or the `Template` that it compiles to, as it was.
        new: The same, as it is now.
    """
    before, after = (each if isinstance(each, Template) else each.compiled for each in (old, new))
    pairs = _paired(before, after)
    changes = (*_of_template(before, after), *_of_steps(before, after, pairs))
    needed = tuple(_needed(before, after, pairs))
    return Comparison(before.digest, after.digest, changes, needed, tuple(_findings(before, after, pairs, needed)))


def _paired(old: Template, new: Template) -> dict[str, str]:
    """The new name of each old step that is still there."""
    names = {name: step.name for step in new.steps for name in step.formerly} | {s.name: s.name for s in new.steps}
    return {step.name: names[step.name] for step in old.steps if step.name in names}


def _of_template(old: Template, new: Template) -> Iterator[Change]:
    for field, before, after in _differences(_plain(old, {}), _plain(new, {})):
        if field != "steps":
            yield Change("", "changed", field, before, after)


def _of_steps(old: Template, new: Template, pairs: Mapping[str, str]) -> Iterator[Change]:
    origins = {later: name for name, later in pairs.items()}
    for step in new.steps:
        if step.name not in origins:
            yield Change(step.name, "added")
            continue
        before = old.step(origins[step.name])
        if before.name != step.name:
            yield Change(step.name, "renamed", "name", before.name, step.name)
        for field, was, now in _differences(_plain(before, pairs), _plain(step, {})):
            if field not in OWN:
                yield Change(step.name, "changed", field, was, now)
    yield from (Change(step.name, "removed") for step in old.steps if step.name not in pairs)
    order = [pairs[step.name] for step in old.steps if step.name in pairs]
    if order != [step.name for step in new.steps if step.name in origins]:
        yield Change("", "changed", "order of steps", order, [step.name for step in new.steps])


def _plain(model: BaseModel, pairs: Mapping[str, str]) -> dict[str, Any]:
    """The fields as JSON; the steps that they name have their new names, so that a name alone is no difference."""
    plain = model.model_dump(mode="json")
    for argument in plain.get("arguments", ()):
        argument["step"] = pairs.get(argument["step"], argument["step"])
    if "after" in plain:
        plain["after"] = [pairs.get(name, name) for name in plain["after"]]
    if plain.get("on") is not None:
        plain["on"] = _with_names(plain["on"], pairs)
    return plain


def _with_names(on: Any, pairs: Mapping[str, str]) -> Any:
    if isinstance(on, list):
        return [_with_names(part, pairs) for part in on]
    if not isinstance(on, dict):
        return on
    return {
        word: pairs.get(value, value) if word in ABOUT_STEPS else _with_names(value, pairs)
        for word, value in on.items()
    }


ABOUT_STEPS: Final = tuple(
    tells for tells, kind in WORDS.items() if kind in (Completed, Failed, Ended, Skipped, Chosen)
)
"""The words of triggers that name a step."""


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The fields that differ, those of what they are made of one by one."""
    for field in dict.fromkeys((*new, *old)):
        before, after = old.get(field), new.get(field)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict) and field not in WHOLE:
            yield from ((f"{field}.{inner}", was, now) for inner, was, now in _differences(before, after))
        else:
            yield field, before, after


WHOLE: Final = ("on", "config")
"""Fields of which a part says nothing without the rest."""


def _needed(old: Template, new: Template, pairs: Mapping[str, str]) -> Iterator[str]:
    for step in old.steps:
        if step.runs and (old.name != new.name or step.name not in pairs):
            yield old.activity_type(step.name)


def _findings(old: Template, new: Template, pairs: Mapping[str, str], needed: tuple[str, ...]) -> Iterator[Finding]:
    if old.name != new.name:
        message = f"the template was {old.name!r}: its running tasks need workers that still serve it under that name"
        yield finding("TT-C054", message, field="name")
    for step in old.steps:
        if old.activity_type(step.name) in needed and old.name == new.name:
            message = f"step {step.name!r} is gone: running tasks still need a worker with its handler, or formerly="
            yield finding("TT-C050", f"{message} on the step that took its place", step=step.name)
    for name, later in pairs.items():
        yield from _handler_findings(old.step(name), new.step(later), pairs)
    if old.name == new.name:
        yield from _event_findings(old, new)
    if old.digest != new.digest and old.version == new.version and old.name == new.name:
        yield finding("TT-C053", f"the graph is another one, but its version is still {new.version!r}", field="version")


def _event_findings(old: Template, new: Template) -> Iterator[Finding]:
    """Workers check what comes by the events that they know, and refuse the others."""
    types = {event.name: event.model for event in new.events}
    for event in old.events:
        if event.name not in types and event.name in old.receivers:
            told = f"event {event.name!r} is gone: workers refuse it, also for running tasks that wait for it"
            yield finding("TT-C055", told, field="events")
        elif types.get(event.name, event.model) != event.model and "Any" not in (types[event.name], event.model):
            told = f"event {event.name!r} was {event.model} and is {types[event.name]} now, also for running tasks"
            yield finding("TT-C056", told, field="events")


def _handler_findings(old: StepTemplate, new: StepTemplate, pairs: Mapping[str, str]) -> Iterator[Finding]:
    sent = {argument.name for argument in old.arguments}
    asked = [argument.name for argument in new.arguments if argument.name not in sent]
    if old.runs and new.runs and asked:
        told = f"step {new.name!r} now takes {', '.join(asked)}, which tasks that run do not send: their attempts fail"
        yield finding("TT-C051", told, step=new.name, field="takes")
    if old.result != new.result and "Any" not in (old.result, new.result):
        told = (
            f"step {new.name!r} returned {old.result} and returns {new.result} now, also to the steps of running tasks"
        )
        yield finding("TT-C052", told, step=new.name, field="result")
