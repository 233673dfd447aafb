"""The compiled template: what is sound, what it derives, and what it hashes to."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tasker_temporal.core.mistakes import NAME_LIMIT, mistakes
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.template import Argument, Limits, StepTemplate, Template
from tests.core.driving import seconds, step


def flow(*steps: StepTemplate, name: str = "tests.flow", **options: Any) -> Template:
    return Template(name=name, steps=steps, **options)


def test_a_sound_template_has_no_mistakes() -> None:
    assert mistakes(flow(step("a"), step("b", "a"), step("c-d_1", "a?", after=["b"]))) == []
    assert mistakes(flow(name="a_b.c-d.E1")) == []
    assert mistakes(flow(step("x" * NAME_LIMIT), name="y" * NAME_LIMIT)) == []


@pytest.mark.parametrize("name", ["", "1a", "a b", "a..b", "a.", ".a", "a/b", "y" * (NAME_LIMIT + 1), "a\n"])
def test_a_templates_name_is_made_of_dotted_identifiers(name: str) -> None:
    assert mistakes(flow(name=name)) == [f"its name {name!r}: expected dotted identifiers, at most 100 characters"]


@pytest.mark.parametrize("name", ["tasker", "tasker.prepare"])
def test_the_librarys_own_namespace_is_taken(name: str) -> None:
    assert mistakes(flow(name=name)) == [f"its name {name!r}: the namespace 'tasker' is the library's own"]


@pytest.mark.parametrize("name", ["", "1a", "a.b", "a:b", "x" * (NAME_LIMIT + 1)])
def test_a_steps_name_is_an_identifier(name: str) -> None:
    (mistake,) = mistakes(flow(step(name)))
    assert mistake == f"step {name!r}: expected an identifier of at most 100 characters as its name"


def test_all_mistakes_are_told_at_once_each_with_its_step() -> None:
    wrong = flow(step("a", "z"), step("a"), step("b", "c"), step("c", after=["b"]))
    assert mistakes(wrong) == [
        "step 'a' is declared twice: expected one step of each name",
        "step 'a' waits for 'z', which is no step of this template: expected one of ['a', 'b', 'c']",
        "step 'b' waits for itself: b -> c -> b",
    ]


def test_a_step_cannot_wait_for_itself() -> None:
    assert mistakes(flow(step("a", after=["a"]))) == ["step 'a' waits for itself: a -> a"]


def test_dependencies_are_what_is_waited_for_and_what_is_taken_each_once() -> None:
    known = step("d", "a", "b?", "*", "a", after=["c", "b"])
    assert known.dependencies == ("c", "b", "a")
    assert known.required == {"a"}
    assert known.takes == {"a": 2, "b": 1, None: 1}


def test_dependents_come_in_declared_order() -> None:
    known = flow(step("a"), step("c", "a"), step("b", "c", after=["a"]))
    assert known.dependents == {"a": ("c", "b"), "c": ("b",), "b": ()}


def test_an_activity_type_is_template_and_step() -> None:
    assert flow(step("charge"), name="shop.order").activity_type("charge") == "shop.order.charge"


def test_a_step_that_is_not_retryable_has_one_attempt() -> None:
    assert step("a").max_attempts == 3
    assert step("a", retry=Retry(attempts=7)).max_attempts == 7
    assert step("a", retry=Retry(attempts=7), retryable=False).max_attempts == 1


def test_the_digest_is_that_of_the_canonical_json_without_defaults() -> None:
    known = flow(step("a", "*", deadline=seconds(1.5)))
    text = '{"name":"tests.flow","steps":[{"arguments":[{"name":"context"}],"deadline":1.5,"name":"a"}]}'
    assert known.digest == hashlib.sha256(text.encode()).hexdigest()


def test_equal_graphs_have_equal_digests_and_others_have_not() -> None:
    one = flow(step("a"), step("b", "a"))
    assert one.digest == flow(step("a"), step("b", "a"), version="1.0.0").digest
    assert len({one.digest, flow(step("a"), step("b")).digest, flow(step("b"), step("a", "b")).digest}) == 3


def test_a_template_survives_its_journey_as_json() -> None:
    known = flow(
        step("a", "*", config={"x": [1]}, formerly=("z",), timeout=timedelta(minutes=3), deadline=seconds(0.5)),
        step("b", "a?", retry=Retry(attempts=9, jitter="none", base_delay=seconds(0.25))),
        limits=Limits(in_flight=3),
        on_failure="stop",
        cancel_grace=seconds(1),
    )
    plain = json.loads(json.dumps(known.model_dump(mode="json", exclude_defaults=True)))
    assert Template.model_validate(plain) == known
    assert Template.model_validate(plain).digest == known.digest


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Retry(attempts=0),
        lambda: Retry(multiplier=0.5),
        lambda: Retry(multiplier=float("inf")),
        lambda: Retry(base_delay=seconds(-1)),
        lambda: step("a", timeout=seconds(0)),
        lambda: step("a", deadline=seconds(0)),
        lambda: step("a", surprise=1),
        lambda: Limits(in_flight=0),
        lambda: Limits(drain_events=1),
        lambda: flow(on_failure="panic"),
        lambda: flow(cancel_grace=seconds(-1)),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_built(wrong: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - an OptionError where people build it, else pydantic's
        wrong()


def test_a_template_cannot_be_changed() -> None:
    known: Any = flow(step("a"))
    with pytest.raises(ValidationError, match="frozen"):
        known.name = "other"
    with pytest.raises(ValidationError, match="frozen"):
        known.steps[0].arguments = (Argument(name="x"),)


def test_a_notifier_is_no_step_and_that_of_a_task_is_none_of_a_step() -> None:
    flow = Template(name="tests.flow")
    assert flow.notifier_type("a") == "tests.flow.a:notify"
    assert flow.notifier_type(None) == "tests.flow:notify"
    assert flow.activity_type("a") == "tests.flow.a"


def test_a_task_queue_that_the_server_would_refuse_again_and_again_is_a_mistake() -> None:
    own = "/_sys/mine"
    wrong = flow(step("a", task_queue="q" * 1001), task_queue=own, sinks=[{"name": "s", "task_queue": own}])
    said = "its task_queue: it begins with '/_sys/', as only Temporal's own queues do: expected another name"
    assert mistakes(wrong) == [
        f"the template: {said}",
        "step 'a': its task_queue: it has 1001 bytes: at most 1000 are a name: expected another name",
        f"sink 's': {said}",
    ]
