"""Reads a template from YAML: validates what stands in the document, and tells every mistake at its place."""

from __future__ import annotations

import os
import re
from typing import Any, Final

from pydantic import ValidationError

from tasker_temporal.compile import sink_mistakes
from tasker_temporal.core import wording
from tasker_temporal.core.mistakes import mistakes
from tasker_temporal.core.soundness import unsound
from tasker_temporal.core.template import Template
from tasker_temporal.core.wording import meant
from tasker_temporal.yaml.document import NOT_GIVEN, Document
from tasker_temporal.yaml.nodes import Place
from tasker_temporal.yaml.places import Loc
from tasker_temporal.yaml.source import open_source


def read_document(path_or_text: str | os.PathLike[str]) -> tuple[Document, Template | None]:
    """The document, and the template in it as far as it is sound enough to be looked at.

    Raises:
        YamlError: the file cannot be read.
    """
    document = Document(open_source(path_or_text))
    document.read()
    template = _validated(document) if document.plain else None
    if template is not None:
        for mistake in [*mistakes(template), *unsound(template), *sink_mistakes(template.sinks, None)]:
            tell_mistake(document, mistake)
    return document, template


def read_template(path_or_text: str | os.PathLike[str]) -> Template:
    """The template as plain data, as it stands in the YAML, without its handlers.

    Args:
        path_or_text: A path, or a text that ends with `.yaml` or `.yml` and has one line; else the YAML itself.

    Raises:
        YamlError: with every mistake in it.
    """
    document, template = read_document(path_or_text)
    document.source.check("" if template is None else template.name)
    assert template is not None
    return template


REPAIRS: Final = 3
"""So often what does not validate is left out, so that what else is wrong is found too."""


def _validated(document: Document) -> Template | None:
    plain: Any = document.plain
    for number in range(REPAIRS):
        try:
            return Template.model_validate(plain)
        except ValidationError as error:
            for problem in reversed(wording.problems(error)):
                if number == 0 and not document.places.was_refused(problem["loc"]):
                    _tell_invalid(document, problem)
                document.places.refuse(problem["loc"])
                plain = _without(plain, problem["loc"])
    return None


def _tell_invalid(document: Document, problem: Any) -> None:
    place, words = document.places.at(problem["loc"]), _words(document.plain, problem["loc"])
    if problem["type"] == "missing":
        document.source.tell("TT-Y014", place, f"the key {problem['loc'][-1]!r} is missing: {_of(words[:-1])} needs it")
    else:
        document.source.tell("TT-Y012", place, f"{_of(words)} {wording.predicate(problem)}")


def _of(words: list[str]) -> str:
    """What stands at the end of the way, as `'attempts' of 'retry' of step 'a'`."""
    told = [f"item {int(word) + 1}" if word.isdigit() else repr(word) for word in words]
    if words[:1] == ["steps"]:
        told[:2] = [f"step {name}" for name in told[1:2]]
    once = [word for place, word in enumerate(told) if word not in told[place - 1 : place]]
    return " of ".join(reversed(once)) or "the template"


def _words(plain: Any, loc: Loc) -> list[str]:
    """The way to a value in the words of the file."""
    found: list[str] = []
    for part in loc:
        if isinstance(plain, list) and isinstance(part, int) and part < len(plain):
            plain = plain[part]
            found.append(str(plain["name"]) if isinstance(plain, dict) and "name" in plain else str(part))
        elif isinstance(plain, dict) and part in plain:
            plain = plain[part]
            found.append("takes" if part == "arguments" else str(part))
        elif part == loc[-1]:
            found.append(str(part))
    return found


def _without(plain: Any, loc: Loc) -> Any:
    """A copy without the value at that place, or without what it is part of. Names of kinds are passed over."""
    if isinstance(plain, list) and loc and isinstance(loc[0], str):
        return _without(plain, loc[1:])
    if isinstance(plain, list) and loc and isinstance(loc[0], int) and loc[0] < len(plain):
        inner = _without(plain[loc[0]], loc[1:])
        return [*plain[: loc[0]], *([] if inner is NOT_GIVEN else [inner]), *plain[loc[0] + 1 :]]
    if isinstance(plain, dict) and loc and loc[0] in plain:
        inner = _without(plain[loc[0]], loc[1:])
        return {key: value for key, value in (plain | {loc[0]: inner}).items() if value is not NOT_GIVEN}
    return NOT_GIVEN


QUOTED: Final = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
"""A value as Python writes it, so with either quotes."""

PHRASES: Final[tuple[tuple[str, str], ...]] = (
    ("no step of this template", "TT-Y020"),
    ("which is not declared", "TT-Y022"),
    ("has no branch", "TT-Y023"),
    (": its condition ", "TT-Y024"),
    (": its match ", "TT-Y024"),
    (" expects ", "TT-Y032"),
)
"""What a mistake in the template as data is about, by what is said of it."""


KEYS: Final = {"TT-Y024": "when"}
"""Where such a mistake probably stands, if nothing that it quotes does."""


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), value[1:-1])


FOLLOWS: Final[tuple[tuple[str, str], ...]] = (
    ("approval", "it awaits an approval"),
    ("approval", "which asks people"),
    ("awaits", "only a wait for an event"),
    ("branches", "has no branch"),
    ("events", "it gets no events"),
    ("on", "it waits for an event: expected"),
    ("on", "that its trigger does not name"),
    ("type", "which asks nobody"),
    ("type", "its rows: expected one out of"),
)
"""Fields, and what is found wrong only because something in them was refused: that was told already."""


def _follows(document: Document, mistake: str) -> bool:
    step = FIRST_STEP.match(mistake)
    return any(
        phrase in mistake and document.places.lacks(field, step[1] if step and field != "branches" else None)
        for field, phrase in FOLLOWS
    )


FIRST_STEP: Final = re.compile(r"step '([^']*)'")
FIRST_FIELD: Final = re.compile(r"(?:^|: )its (\w+)")
FIRST_ROUTE: Final = re.compile(r"route (?:(\d+)|'([^']*)'):")


def tell_mistake(document: Document, mistake: str, code: str = "TT-Y021") -> None:
    """Tell of a mistake that was found in the template as data, at the place of what it quotes."""
    if _follows(document, mistake):
        return
    said, _, expected = mistake.partition(": expected")
    quoted, known = ([_unquoted(value) for value in QUOTED.findall(text)] for text in (said, expected))
    code = next((found for phrase, found in PHRASES if phrase in mistake), code)
    field = found[1] if (found := FIRST_FIELD.search(mistake)) else ""
    if not mistake.startswith("step '") or not quoted:
        place = _route_place(document, mistake) or document.places.find_anywhere(_telling(code, quoted))
        document.source.tell(code, place or _field_place(document, field), mistake)
        return
    steps = [step["name"] for step in document.plain.get("steps", ())]
    places = [(text, place) for text in quoted[1:] if (place := document.places.find(quoted[0], text)) is not None]
    text, at = next((it for it in places if it[0] not in steps), places[0] if places else ("", None))
    guess = meant(text, known) if text not in known else ""
    at = at or document.places.find_key(quoted[0], field) or document.places.key(quoted[0], KEYS.get(code, ""))
    document.source.tell(code, at, mistake + guess)


def _telling(code: str, quoted: list[str]) -> list[str]:
    """What is quoted, what tells most first: a condition is longer than names."""
    return sorted(quoted, key=len, reverse=True) if code in KEYS else quoted


def _route_place(document: Document, mistake: str) -> Place | None:
    """Where the condition of the route stands that is named, or numbered from 1."""
    found = FIRST_ROUTE.match(mistake)
    if found is None:
        return None
    names = [route.get("name") for route in document.plain["routes"]]
    number = int(found[1]) - 1 if found[1] else names.index(found[2])
    return document.places.at(("routes", number, "when"))


def _field_place(document: Document, field: str) -> Place:
    return (
        document.places.at((field,))
        if field in document.plain
        else document.places.find_key(None, field) or document.places.at(("name",))
    )
