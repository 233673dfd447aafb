"""Triggers as people declare them: the words take declared steps, and every mistake is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, cast

import pytest
from pydantic import BaseModel

from tasker_temporal import (
    FailedStep,
    Route,
    TaskTemplate,
    TemplateError,
    all_of,
    any_of,
    at_least,
    chosen,
    completed,
    elapsed,
    ended,
    event_of,
    failed,
    failure_of,
    received,
    result_of,
    skipped,
)


class Captured(BaseModel):
    order: str
    amount: int


def charge() -> int:
    return 1


def test_each_word_takes_a_declared_step_and_becomes_data() -> None:
    template = TaskTemplate("tests.words")
    a = template.add_step("a", charge)
    b = template.add_step("b", charge)

    @template.decision(branches=["left", "right"])
    def choose() -> Literal["left", "right"]:
        return "left"

    paid = template.event("paid", Captured)

    @template.step(
        on=all_of(
            any_of(completed(a), failed(a), skipped(b)),
            at_least(1, ended(b), chosen(choose, "left")),
            received(paid, match="event.order == context.id"),
            elapsed(timedelta(minutes=1)),
        )
    )
    def last(
        why: FailedStep | None = failure_of(a), payment: Captured = event_of(paid), n: int | None = result_of(b)
    ) -> None: ...

    compiled = template.compiled
    assert compiled.events[0].model_dump() == {"name": "paid", "model": "Captured"}
    assert compiled.step("choose").branches == ("left", "right")
    plain = compiled.step("last").model_dump(mode="json", exclude_defaults=True)
    assert plain == {
        "name": "last",
        "result": "None",
        "on": {
            "all_of": [
                {"any_of": [{"completed": "a"}, {"failed": "a"}, {"skipped": "b"}]},
                {"at_least": 1, "of": [{"ended": "b"}, {"chosen": "choose", "branch": "left"}]},
                {"received": "paid", "match": "event.order == context.id"},
                {"elapsed": 60.0},
            ]
        },
        "arguments": [
            {"name": "why", "step": "a", "part": "failure", "optional": True},
            {"name": "payment", "event": "paid"},
            {"name": "n", "step": "b", "optional": True},
        ],
    }
    assert compiled.step("last").dependencies == ()
    assert compiled.step("last").needs == ("a", "b", "choose")
    assert compiled.listeners == {"a": ("last",), "b": ("last",), "choose": ("last",)}


def test_a_wait_is_a_step_whose_result_is_the_payload() -> None:
    template = TaskTemplate("tests.wait")
    paid = template.event("payment.captured", Captured)
    a = template.add_step("a", charge)
    wait = template.wait_for("payment", received(paid), after=[a], deadline=timedelta(days=1), on_deadline="skip")

    @template.step
    def ship(payment: Captured | None = result_of(wait)) -> None: ...

    assert template.compiled.step("payment").model_dump(mode="json", exclude_defaults=True) == {
        "name": "payment",
        "awaits": "event",
        "after": ["a"],
        "on": {"received": "payment.captured"},
        "deadline": 86400.0,
        "on_deadline": "skip",
        "result": "Captured",
    }
    assert list(template.handlers) == ["a", "ship"]
    with pytest.raises(TypeError, match="no handler"):
        wait()


def test_modes_and_routes_are_options_of_the_template() -> None:
    route = Route(when="context.total > 1000", mode="high_priority", task_queue="vip", name="large")
    template = TaskTemplate("tests.modes", mode="sequential_only", routes=[route])
    plain = template.compiled.model_dump(mode="json", exclude_defaults=True)
    assert (plain["mode"], plain["routes"]) == (
        "sequential_only",
        [{"name": "large", "when": "context.total > 1000", "mode": "high_priority", "task_queue": "vip"}],
    )


def mistakes_of(template: TaskTemplate[Any]) -> tuple[str, ...]:
    with pytest.raises(TemplateError) as raised:
        template.compiled  # noqa: B018 - reading it compiles
    return tuple(raised.value.mistakes)


def test_a_trigger_that_cannot_be_is_told_with_its_step_and_not_where_it_is_made() -> None:
    template = TaskTemplate("tests.wrong")
    a, not_a_time, not_a_branch = template.add_step("a", charge), cast(Any, "soon"), cast(Any, 5)
    template.add_step("b", charge, on=at_least(0, completed(a)))
    template.add_step("c", charge, on=all_of())
    template.add_step("d", charge, on=all_of(completed(a), any_of(elapsed(timedelta(seconds=-1)), completed(a))))
    template.add_step("e", charge, on=elapsed(not_a_time))
    template.add_step("f", charge, on=any_of(cast(Any, a)))
    template.add_step("g", charge, on=chosen(a, not_a_branch))
    assert mistakes_of(template)[:6] == (
        "step 'b': its trigger at_least(...): its at_least is 0: expected at least 1",
        "step 'c': its trigger all_of(...): its all_of is empty: expected at least 1 of them",
        "step 'd': its trigger elapsed(...): its elapsed is -1s: expected more than 0 seconds",
        "step 'e': its trigger elapsed(...): its elapsed is 'soon': expected a timedelta, as timedelta(seconds=30)",
        "step 'f': its trigger any_of(...) is made of <step tests.wrong.a>: expected triggers, as completed(step)",
        "step 'g': its trigger chosen(...): its branch is 5: expected a text",
    )


def test_a_decision_returns_what_its_branches_are() -> None:
    template = TaskTemplate("tests.decisions")
    branches = ["x", "y"]

    @template.decision(branches=branches)
    def one() -> Literal["x", "y"]:
        return "x"

    @template.decision(branches=branches)
    def some() -> list[Literal["x"]] | str:
        return ["x"]

    @template.decision(branches=branches)
    def untold() -> Any:
        return "x"

    @template.decision(branches=branches)
    def other() -> Literal["x", "z"]:
        return "x"

    @template.decision(branches=branches)  # type: ignore[arg-type]
    def number() -> list[int]:
        return [1]

    assert mistakes_of(template) == (
        "step 'other': it is a decision that returns 'z': expected one of its branches ['x', 'y']",
        "step 'number': it is a decision that returns int: expected one of its branches, or a list of them",
    )
    with pytest.raises(TemplateError, match="decision 'none' has no branches: expected one at least"):
        template.decision(branches=[], name="none")


def test_every_mistake_about_triggers_is_told_with_its_step() -> None:
    template = TaskTemplate("tests.wrong", mode="sequential_only", max_concurrency=2)
    other = TaskTemplate("tests.other").add_step("far", charge)
    a = template.add_step("a", charge)
    template.add_step("b", charge, on=received("unknown"))
    template.add_step("c", charge, on=chosen(a, "x"))
    template.add_step("d", charge, on=at_least(3, completed(a), failed(a)))
    template.add_step("e", charge, on=completed(other))
    wrong: Any = "completed(a)"
    template.add_step("f", charge, on=wrong)
    template.event("bad name")
    template.event("twice")
    template.event("twice")

    @template.step(on=completed(a))
    def g(why: FailedStep = failure_of(a), paid: Any = event_of("twice")) -> None: ...

    @template.decision(branches=["x", "x"])
    def h() -> str:
        return "x"

    whole: Any = completed(a)
    template.wait_for("i", whole)
    assert mistakes_of(template) == (
        "step 'e': it names <step tests.other.far>: expected a step of the same template",
        "step 'f': its on is 'completed(a)': expected a trigger, as on=completed(step)",
        "event 'bad name': expected dotted identifiers as its name",
        "event 'twice' is declared twice: expected one event of each name",
        "its max_concurrency 2: sequential_only runs one step at a time",
        "step 'b': it waits for the event 'unknown', which is not declared: expected one of "
        "['bad name', 'twice', 'twice']",
        "step 'c': step 'a' has no branch 'x', as it is no decision: expected one with branches",
        "step 'd': its trigger asks for at least 3 of 2: it could never be true",
        "step 'g': its parameter 'why': it takes the failure of a step that its trigger does not name: "
        "expected on=failed('a')",
        "step 'g': its parameter 'paid': it takes an event that its trigger does not name: expected "
        "on=received('twice')",
        "step 'h': its branches ['x', 'x']: expected each once",
        "step 'i': it waits for an event: expected received(event) and nothing else",
    )
