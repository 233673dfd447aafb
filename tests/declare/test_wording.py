"""What is wrong in a call is told in plain words, whatever the option and the value: never in pydantic's phrases."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pytest
from pydantic import BaseModel
from pydantic_core._pydantic_core import list_all_errors

import tasker_temporal
from tasker_temporal import (
    Approval,
    CustomEvent,
    Identity,
    IdentityInterceptor,
    Limits,
    Move,
    Retry,
    Route,
    TaskerError,
    TaskerPlugin,
    TaskTemplate,
    TaskType,
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
    schedule_action,
    skipped,
)
from tasker_temporal.client import StartOptions
from tasker_temporal.custom_events import EventOptions
from tasker_temporal.declare import ApprovalOptions, StepOptions, TemplateOptions
from tasker_temporal.errors import OptionError, TemplateError
from tasker_temporal.plugin import PluginOptions
from tasker_temporal.sinks import Sink, Webhook
from tasker_temporal.sinks.webhook import WebhookOptions
from tasker_temporal.telemetry import Telemetry


class Order(BaseModel):
    euros: int = 0


def handler(order: Order) -> str:
    return "small"


WRONG: Final[tuple[Any, ...]] = (
    *(None, "", "x", "seven words that mean nothing to any of them", b"", b"x", b"\xff", True, 0, -1, 7, 1.5, 10**30),
    *(float("nan"), float("inf"), timedelta(0), timedelta(-1), timedelta(1), (), [], [3], ["x"], [[]], {}, {"x": 1}),
    *({1: 2}, {"x": object()}, object(), handler, int, Retry(), Route(when="true"), [Retry()], {"when"}, "/_sys/x"),
)

PHRASES: Final = {error["message_template_python"].partition("{")[0].strip() for error in list_all_errors()}
FOREIGN: Final = re.compile(
    "|".join(re.escape(phrase) for phrase in PHRASES if " " in phrase)
    + r"|further information|pydantic|\[type=|validation error|NoneType|object has no|got multiple|not iterable"
    + r"|expected another value"
)

MODELS: Final[dict[type[BaseModel], dict[str, Any]]] = {
    Retry: {},
    Limits: {},
    Sink: {"name": "audit"},
    Route: {"when": "true"},
    Move: {"source": "in_progress", "to": "complete"},
    TaskType: {"name": "mine", "rows": (Move(source="in_progress", to="complete"),)},
    Approval: {"approvers": ("ann",)},
    Identity: {"actor": "ann"},
}
"""What people build, with what each needs at least."""


def flow(**options: Any) -> None:
    template = TaskTemplate("tests.words", context=Order, **options)
    template.step(handler)
    template.compiled  # noqa: B018 - reading it compiles


def of_step(**options: Any) -> None:
    template = TaskTemplate("tests.words", context=Order)
    template.step(**options)(handler)
    template.compiled  # noqa: B018


def of_decision(**options: Any) -> None:
    template = TaskTemplate("tests.words", context=Order)
    template.decision(**{"branches": ["small", "large"], **options})(handler)
    template.compiled  # noqa: B018


def of_approval(**options: Any) -> None:
    template = TaskTemplate("tests.words", context=Order)
    template.approval(**{"name": "review", "approvers": ["ann"], **options})
    template.compiled  # noqa: B018


def of_wait(**options: Any) -> None:
    template = TaskTemplate("tests.words", context=Order)
    template.wait_for(**{"name": "paid", "on": received(template.event("paid", Order)), **options})
    template.compiled  # noqa: B018


def of_event(**options: Any) -> None:
    template = TaskTemplate("tests.words", context=Order)
    template.event(**{"name": "paid", "model": Order, **options})
    template.compiled  # noqa: B018


def of_custom_event(**options: Any) -> None:
    template = TaskTemplate("tests.words", context=Order)
    event: CustomEvent[Any] = template.custom_event(**{"name": "order.paid", "model": Order, **options})
    assert event.definition


def of_trigger(make: Callable[..., Any], *before: Any, wrong: Any) -> None:
    template = TaskTemplate("tests.words", context=Order)
    template.step(on=make(*before, wrong))(handler)
    template.compiled  # noqa: B018


def of_marker(make: Callable[..., Any], wrong: Any) -> None:
    template = TaskTemplate("tests.words", context=Order)

    marker = make(wrong)

    def taking(order: Order, given: Any = marker) -> None: ...

    template.step(taking)
    template.compiled  # noqa: B018


def plugged(**options: Any) -> None:
    TaskerPlugin(*options.pop("templates", ()), **options)


def cases() -> Iterator[tuple[str, Callable[..., Any], str]]:
    """Everything that takes options, and each of them."""
    for model, needed in MODELS.items():
        for option in model.model_fields:
            yield model.__name__, partial(model, **needed), option
    named: list[tuple[str, Callable[..., Any], list[str]]] = [
        ("TaskTemplate", flow, [*TemplateOptions.__annotations__, "notify"]),
        ("step", of_step, [*StepOptions.__annotations__, "name"]),
        ("decision", of_decision, [*StepOptions.__annotations__, "name", "branches"]),
        ("approval", of_approval, [*ApprovalOptions.__annotations__, "name", "form"]),
        ("wait_for", of_wait, ["name", "on", "after", "when", "deadline", "on_deadline", "description"]),
        ("event", of_event, ["name", "model"]),
        ("custom_event", of_custom_event, [*EventOptions.__annotations__, "model"]),
        ("TaskerPlugin", plugged, [*PluginOptions.__annotations__, "templates", "telemetry"]),
        ("IdentityInterceptor", partial(IdentityInterceptor, who=lambda: None), ["who", "key"]),
        ("Webhook", partial(Webhook, url="https://example.com"), [*WebhookOptions.__annotations__, "secret"]),
        ("Telemetry", Telemetry, ["tracer_provider"]),
    ]
    for name, call, options in named:
        for option in options:
            yield name, call, option
    for make in (completed, failed, ended, skipped, received, elapsed, all_of, any_of):
        yield f"{make.__name__}(...)", partial(of_trigger, make), "wrong"
    yield "chosen(...)", partial(of_trigger, chosen, "x"), "wrong"
    yield "at_least(...)", partial(of_trigger, lambda count: at_least(count, elapsed(timedelta(1)))), "wrong"
    yield "match", partial(of_trigger, lambda match: received("paid", match=match)), "wrong"
    for marker in (result_of, failure_of, event_of):
        yield f"{marker.__name__}(...)", partial(of_marker, marker), "wrong"


def told(call: Callable[..., Any], said: dict[str, Any]) -> str:
    """What is said of it; nothing if it is taken. No other error than the package's own may come."""
    try:
        call(**said)
    except (TaskerError, ValueError) as error:
        return str(error)
    return ""


@pytest.mark.filterwarnings("ignore::pydantic.json_schema.PydanticJsonSchemaWarning")
@pytest.mark.parametrize(
    ("name", "call", "option"), [pytest.param(*case, id=f"{case[0]} {case[2]}") for case in cases()]
)
def test_a_wrong_value_is_told_in_plain_words(name: str, call: Callable[..., Any], option: str) -> None:
    found = [
        (value, told(call, {option: value})) for value in WRONG if not (option == "templates" and not _is_list(value))
    ]
    assert any(said for _, said in found), "every value is taken"
    for value, said in found:
        assert not FOREIGN.search(said), (value, said)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


given: Any = tasker_temporal
AnyWebhook: Any = Webhook
"""Type checkers would refuse what follows, too."""

EXACT: Final[list[tuple[Callable[[], Any], str]]] = [
    (lambda: given.Retry(attempts=0), "Retry: its attempts is 0: expected at least 1"),
    (lambda: given.Retry(3), "Retry: it takes its options by name, as attempts=..."),
    (lambda: given.Retry(atempts=3), "Retry: it has no option 'atempts'; did you mean 'attempts'?"),
    (
        lambda: given.Retry(base_delay="1s"),
        "Retry: its base_delay is '1s': expected a timedelta, as timedelta(seconds=30)",
    ),
    (lambda: given.Route(priority=99), "Route: its priority is 99: expected at most 5; it lacks the option 'when'"),
    (
        lambda: given.Route(when="true", mode="high"),
        "Route: its mode is 'high': expected 'concurrent', 'sequential_only' or 'high_priority'",
    ),
    (
        lambda: given.Route(when="true", task_queue="/_sys/x"),
        "Route: its task_queue is '/_sys/x': it begins with '/_sys/', as only Temporal's own queues do",
    ),
    (lambda: given.Approval(approvers=[3]), "Approval: its approvers[0] is 3: expected a text"),
    (lambda: given.Move(source="a", to="b", when=3), "Move: its when is 3: expected a text"),
    (
        lambda: given.Move(source="a", to="b", when=""),
        "Move: its when is empty: expected a text of at least 1 character",
    ),
    (lambda: given.Move("a", "b"), "Move: it takes its options by name, as source=..."),
    (
        lambda: given.TaskType(name="My", rows=()),
        "TaskType: its name is 'My': expected lower-case letters, digits and '_', a letter first",
    ),
    (
        lambda: given.TaskType(name="my", rows=given.Move(source="a", to="b")),
        "TaskType: its rows is one Move: expected a list, as rows=[...]",
    ),
    (
        lambda: given.TaskType(name="my", rows=[{"source": "a", "too": "b"}]),
        "TaskType: its rows[0] lacks the option 'to'; its rows[0] has no option 'too'; did you mean 'to'?",
    ),
    (lambda: given.Limits(in_flight="x" * 200), f"Limits: its in_flight is '{'x' * 76}...: expected a whole number"),
    (lambda: given.TaskerPlugin(identity_key="hush"), "TaskerPlugin: its identity_key is of type str: expected bytes"),
    (lambda: given.TaskerPlugin(sync_handlers=0), "TaskerPlugin: its sync_handlers is 0: expected at least 1"),
    (
        lambda: given.TaskerPlugin(sinks={"a": Webhook}),
        "TaskerPlugin: its sink 'a' is the class Webhook: expected a function that takes events, or a Webhook(...)",
    ),
    (
        lambda: AnyWebhook("https://example.com", mode="btch"),
        "Webhook: its mode is 'btch': expected 'batch', 'structured' or 'binary'; did you mean 'batch'?",
    ),
]


@pytest.mark.parametrize(("call", "said"), EXACT, ids=[said[:60] for _, said in EXACT])
def test_a_mistake_is_told_in_one_line_that_names_it(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        call()
    assert str(caught.value) == said


OF_TEMPLATES: Final[list[tuple[Callable[..., None], dict[str, Any], str]]] = [
    (flow, {"version": 1}, "its version is 1: expected a text"),
    (flow, {"task_queue": ""}, "the template: its task_queue: it is blank: expected another name"),
    (
        flow,
        {"type": "critcal"},
        "its type is 'critcal': expected one of default, critical, batch, or a TaskType; did you mean 'critical'?",
    ),
    (flow, {"limits": {"in_flite": 3}}, "its limits has no option 'in_flite'; did you mean 'in_flight'?"),
    (flow, {"sinks": Sink(name="a")}, "its sinks is one Sink: expected a list, as sinks=[...]"),
    (flow, {"steps": []}, "it has no option 'steps': expected one of version, description, task_queue, on_failure"),
    (of_step, {"formerly": "old"}, "step 'handler': its formerly is 'old': expected a list"),
    (of_step, {"config": {"x": handler, 2: 3}}, "step 'handler': its config['x'] is <function handler"),
    (of_step, {"result": int}, "step 'handler': it has no option 'result'"),
    (of_step, {"name": ""}, "step '': expected an identifier of at most 100 characters as its name"),
    (of_decision, {"branches": "ab"}, "step 'handler': its branches is 'ab': expected a list"),
    (
        of_decision,
        {"branches": ["small", " "]},
        "step 'handler': its branches ['small', ' ']: expected none of them blank",
    ),
    (of_approval, {"quorrum": 2}, "step 'review': it has no option 'quorrum'; did you mean 'quorum'?"),
    (of_approval, {"form": "Order"}, "step 'review': its form is 'Order': expected the type itself, not its name"),
    (of_approval, {"notify": Order}, "step 'review': its notify is the class Order: expected a function"),
    (of_wait, {"on": "paid"}, "step 'paid': its on is 'paid': expected received(event)"),
    (of_event, {"model": 3}, "event 'paid': its model is 3: expected a type"),
    (of_event, {"name": 3}, "event 3: its name is 3: expected a text"),
]


@pytest.mark.parametrize(("call", "options", "said"), OF_TEMPLATES, ids=[said[:60] for _, _, said in OF_TEMPLATES])
def test_a_mistake_in_a_template_names_its_step(call: Callable[..., None], options: dict[str, Any], said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        call(**options)
    assert caught.value.mistakes[0].startswith(said)
    assert len(caught.value.mistakes) == 1 or options == {"config": {"x": handler, 2: 3}}


def test_what_follows_from_a_mistake_is_not_told_as_another() -> None:
    template = TaskTemplate("tests.follows", context=Order)
    stranger = TaskTemplate("tests.other", context=Order).step(handler)

    def taking(order: Order, why: Any = failure_of(stranger), given: Any = result_of(stranger)) -> None: ...

    template.step(on=failed(stranger), after=[stranger])(taking)
    with pytest.raises(TemplateError) as caught:
        template.compiled  # noqa: B018
    assert set(caught.value.mistakes) == {
        "step 'taking': it names <step tests.other.handler>: expected a step of the same template"
    }


def test_what_is_no_function_is_no_handler() -> None:
    template = TaskTemplate("tests.words", context=Order)
    wrong: Any
    for wrong in (3, Order, "handler"):
        with pytest.raises(TemplateError, match=r"step 'a': its handler is .*: expected a function"):
            template.add_step("a", wrong)


START: Final[list[tuple[dict[str, Any], str]]] = [
    ({"id": ""}, "its id is empty: expected a text of at least 1 character"),
    ({"identity": "strct"}, "its identity is 'strct': expected 'unique' or 'strict'; did you mean 'strict'?"),
    ({"on_duplicate": "retun"}, "its on_duplicate is 'retun': expected 'raise' or 'return'; did you mean 'return'?"),
    ({"start_delay": 3}, "its start_delay is 3: expected a timedelta, as timedelta(seconds=30)"),
    ({"priority": 3}, "its priority is 3: expected Priority"),
    ({"mode": "fast"}, "its mode is 'fast': expected 'concurrent', 'sequential_only' or 'high_priority'"),
    ({"max_concurrency": 0}, "its max_concurrency is 0: expected at least 1"),
    ({"sinks": Sink(name="a")}, "its sinks is Sink(...): expected a list"),
    ({"sinks": ["audit"]}, "its sinks[0] is 'audit': expected Sink(...)"),
    ({"taskqueue": "x"}, "it has no option 'taskqueue'; did you mean 'task_queue'?"),
]


@pytest.mark.parametrize(("options", "said"), START, ids=[said[:60] for _, said in START])
async def test_a_start_is_refused_before_it_asks_anybody(options: dict[str, Any], said: str) -> None:
    nobody: Any = None
    with pytest.raises(OptionError) as caught:
        await given.start_task(nobody, "tests.words", {}, **options)
    assert str(caught.value) == f"start_task: {said}"


def started(**options: Any) -> None:
    nobody: Any = None
    # Without a template it goes no further than its options.
    asyncio.run(given.start_task(nobody, 3, {}, **options))


AS_OF_REQUESTS: Final = {"actor", "reason"}


@pytest.mark.parametrize("option", [name for name in StartOptions.__annotations__ if name not in AS_OF_REQUESTS])
def test_a_wrong_start_option_is_told_in_plain_words(option: str) -> None:
    found = [told(started, {option: value}) for value in WRONG]
    assert any(option in said for said in found)
    assert [said for said in found if FOREIGN.search(said)] == []


def test_what_is_no_template_is_not_started() -> None:
    wrong: Any
    nobody: Any = None
    for wrong in (3, None, "", Order):
        with pytest.raises(OptionError, match=r"schedule_action: its template is .*: expected a task template, or its"):
            schedule_action(nobody, wrong)
    with pytest.raises(OptionError, match="schedule_action: its task_queue is 3: expected a text"):
        given.schedule_action(nobody, "tests.words", task_queue=3)
