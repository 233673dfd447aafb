"""Where in a YAML file what a template says stands, so that each mistake is told at its line and column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tasker_temporal.yaml.nodes import Mapping, Node, Place, Scalar, Sequence

Loc = tuple[str | int, ...]
"""The way to a value in the template's plain data, as pydantic says it."""


class Places:
    """Of one file.

    Attributes:
        known: The place of each value.
        refused: The values that were refused.
        root: The whole.
        steps: The steps by their names.
        names: The names of the steps, in order.
    """

    def __init__(self) -> None:
        self.known: dict[Loc, Place] = {(): Place()}
        self.refused: set[Loc] = set()
        self.root: Node | None = None
        self.steps: dict[str, Node] = {}
        self.names: list[str] = []

    def at(self, loc: Loc) -> Place:
        """Where the value stands, or else what it is part of. Parts that only the model knows are passed over."""
        return self.known[self._nearest(loc)]

    def _nearest(self, loc: Loc) -> Loc:
        known: Loc = ()
        for part in loc:
            if (*known, part) in self.known:
                known = (*known, part)
        return known

    def was_refused(self, loc: Loc) -> bool:
        """Something in the value was refused when it was read, so that the model misses it."""
        known = self._nearest(loc)
        if known == self._nearest(loc[:-1]):
            # It is not there at all: then what is beside it is no reason.
            known = (*known, loc[-1])
        return any(refused[: len(known)] == known for refused in self.refused)

    def refuse(self, loc: Loc) -> None:
        """Remember that the value does not stand in the template, because it does not validate."""
        self.refused.add(loc)

    def lacks(self, field: str, step: str | None) -> bool:
        """Something of that field was refused: in the step, or with no step anywhere."""
        return any(field in loc and step in (None, self._step_of(loc)) for loc in self.refused)

    def _step_of(self, loc: Loc) -> str | None:
        number = loc[1] if loc[0] == "steps" and len(loc) > 1 else None
        return self.names[number] if isinstance(number, int) else None

    def key(self, step: str, word: str = "") -> Place:
        """Where a step begins, or one of its keys, if it has it."""
        node = self.steps.get(step)
        if isinstance(node, Mapping) and word in node.keys:
            return node.keys[word]
        return self.known.get(("step", step), Place())

    def approval_key(self, step: str, word: str) -> Place:
        """Where a key of an approval stands: of a step's, or with no step of the task's own."""
        root = self.steps.get(step) if step else self.root
        approval = root.items.get("approval") if isinstance(root, Mapping) else None
        known = approval.keys.get(word) if isinstance(approval, Mapping) else None
        return known or self.key(step, "approval")

    def find(self, step: str, text: str) -> Place | None:
        """Where the text stands as a value, or as a key, in the step's mapping."""
        return next(_places_of(self.steps[step], text), None) if step in self.steps else None

    def find_key(self, step: str | None, word: str) -> Place | None:
        """Where the key stands: in the step's mapping, or with no step in the file, what is further out first."""
        return next(_places_of_key(self.root if step is None else self.steps.get(step), word), None)

    def find_anywhere(self, texts: Iterable[str]) -> Place | None:
        """Where one of the texts stands in the file."""
        root = self.root
        return next((place for text in texts for place in (_places_of(root, text) if root else ())), None)


def _places_of_key(node: Node | None, word: str) -> Iterator[Place]:
    if isinstance(node, Mapping):
        if word in node.keys:
            yield node.keys[word]
        for value in node.items.values():
            yield from _places_of_key(value, word)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _places_of_key(item, word)


def _places_of(node: Node, text: str) -> Iterator[Place]:
    if isinstance(node, Scalar):
        if node.text == text:
            yield node.place
        return
    if isinstance(node, Mapping):
        for key, value in node.items.items():
            if key == text:
                yield node.keys[key]
            yield from _places_of(value, text)
        return
    for item in node.items:
        yield from _places_of(item, text)
