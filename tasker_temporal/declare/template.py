"""A kind of task, as people declare it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack, cast, overload

from tasker_temporal.approval_notice import Notifier
from tasker_temporal.compile import compile_template
from tasker_temporal.core.approval import Approval
from tasker_temporal.core.registry import EventRegistry
from tasker_temporal.core.routes import Mode, Route
from tasker_temporal.core.task_types import TaskType
from tasker_temporal.core.template import Limits, Sink, Template
from tasker_temporal.core.wording import shown
from tasker_temporal.custom_events import CustomEvent
from tasker_temporal.declare.approvals import ApprovalOptions, DeclaredApproval
from tasker_temporal.declare.steps import (
    STEP_OPTIONS,
    DecisionDecorator,
    DeclaredStep,
    StepDecorator,
    StepOptions,
    listed,
    sorted_out,
)
from tasker_temporal.declare.waits import DeclaredWait, no_handler
from tasker_temporal.errors import TemplateError
from tasker_temporal.expression import DeclaredEvent, OnEvent

if TYPE_CHECKING:
    from tasker_temporal.yaml import Handler, Handlers

P = ParamSpec("P")
U = TypeVar("U")
C = TypeVar("C")


class TemplateOptions(TypedDict, total=False):
    """The keyword arguments of `TaskTemplate`, beside `context`."""

    version: str
    description: str
    task_queue: str
    on_failure: Literal["continue", "stop"]
    on_error: Literal["fail", "hold"]
    hold_for: timedelta
    cancel_grace: timedelta
    handler_grace: timedelta
    limits: Limits
    type: TaskType | str
    approval: Approval
    mode: Mode
    max_concurrency: int
    routes: Sequence[Route]
    sinks: Sequence[Sink]


class TaskTemplate(Generic[C]):
    """A kind of task: its name, the type of its context, and its steps.

        sell = TaskTemplate("shop.sell", context=Order, task_queue="shop")

        @sell.step
        async def charge(order: Order) -> Payment: ...

    Args:
        name: Dotted; what stands before the last dot is the namespace. It is also the workflow type.
        version: Yours; it is shown, and kept by each task for its whole life.
        context: The type of what a task is started with: a pydantic model, a dataclass, or anything else that pydantic
            can validate. Without it, any JSON goes.
        task_queue: Where its tasks and handlers run, unless a step or a start says otherwise.
        on_failure: When a step has failed for good: `continue` with what does not depend on it, or `stop` and start
            nothing new. Either way the task then ends in `error`.
        on_error: A task in `error` closes its run as failed (`fail`), or keeps it open for people to step in (`hold`).
            Either way it can be continued from where it stopped.
        hold_for: How long it is held, 30 days unless said; then it fails.
        cancel_grace: How long the running steps of a cancelled task may take to end.
        handler_grace: How long a step waits for a worker that has its handler.
        limits: How much of one task runs at a time.
        type: `default`; `critical`, whose tasks wait for their own approval when all steps are over; `batch`, whose
            tasks are complete only if every step is; or a `TaskType` that you declare.
        approval: Who approves the task, if its type asks for it.
        notify: Called with an `ApprovalNotice` when the task's own approval is opened, escalated and decided.
        mode: `concurrent`, unless said: all that can run runs. `sequential_only`: one step at a time, in declared
            order. `high_priority`: before other tasks on its queue.
        max_concurrency: Steps that run at once.
        routes: Rules, as `Route(when="context.total > 1000", mode="high_priority")`: the first that holds when a task
            begins says how that task is processed.
        sinks: Who outside is told of its rows. How each is reached, `TaskerPlugin(sinks=...)` says.
    """

    @overload
    def __init__(
        self: TaskTemplate[Any], name: str, *, notify: Notifier | None = None, **options: Unpack[TemplateOptions]
    ) -> None: ...
    @overload
    def __init__(
        self, name: str, *, context: type[C], notify: Notifier | None = None, **options: Unpack[TemplateOptions]
    ) -> None: ...
    def __init__(
        self, name: str, *, context: Any = Any, notify: Notifier | None = None, **options: Unpack[TemplateOptions]
    ) -> None:
        self.name, self.notify = name, notify
        self.context: Any = context
        known, self.unknown = sorted_out(options, [*TemplateOptions.__annotations__, "context", "notify"])
        self.options = cast(TemplateOptions, known)
        self.declared: list[DeclaredStep[..., Any, Any]] = []
        self.custom_events: list[CustomEvent[Any]] = []
        self.events: list[DeclaredEvent[Any]] = []
        self._compiled: Template | None = None

    @overload
    def step(self, function: Callable[P, Coroutine[Any, Any, U]], /) -> DeclaredStep[P, Coroutine[Any, Any, U], U]: ...
    @overload
    def step(self, function: Callable[P, U], /) -> DeclaredStep[P, U, U]: ...
    @overload
    def step(self, /, *, name: str | None = None, **options: Unpack[StepOptions]) -> StepDecorator: ...
    def step(self, function: Any = None, /, *, name: str | None = None, **options: Unpack[StepOptions]) -> Any:
        """Declare the decorated function as the handler of a step of its name: `@template.step`, or with options
        `@template.step(retry=Retry(attempts=5), after=[check])`. `StepOptions` lists them.
        """
        names = _names_of_caller()

        def declare(handler: Any) -> DeclaredStep[..., Any, Any]:
            return self._add(_name_of(handler, "") if name is None else name, handler, options, names)

        return declare if function is None else declare(function)

    @overload
    def add_step(
        self, name: str, function: Callable[P, Coroutine[Any, Any, U]], **options: Unpack[StepOptions]
    ) -> DeclaredStep[P, Coroutine[Any, Any, U], U]: ...
    @overload
    def add_step(
        self, name: str, function: Callable[P, U], **options: Unpack[StepOptions]
    ) -> DeclaredStep[P, U, U]: ...
    def add_step(self, name: str, function: Any, **options: Unpack[StepOptions]) -> Any:
        """Declare a function that is defined elsewhere, or any callable, as the handler of the step `name`."""
        return self._add(name, function, options, _names_of_caller())

    @overload
    def approval(self, name: str, *, form: type[U], **options: Unpack[ApprovalOptions]) -> DeclaredApproval[U]: ...
    @overload
    def approval(self, name: str, **options: Unpack[ApprovalOptions]) -> DeclaredApproval[None]: ...
    def approval(self, name: str, *, form: Any = None, **options: Unpack[ApprovalOptions]) -> Any:
        """Declare a step that waits for people to approve. `ApprovalOptions` lists the options.

        Args:
            form: What an approver fills in, a pydantic model or anything else that pydantic can validate. The form of
                the vote that decides is the step's result.
        """
        step: DeclaredApproval[Any] = DeclaredApproval(self, name, form, options)
        self.declared.append(step)
        self._compiled = None
        return step

    def decision(
        self, /, *, branches: Iterable[str], name: str | None = None, **options: Unpack[StepOptions]
    ) -> DecisionDecorator:
        """Declare a step whose handler returns which of `branches` to take: one, or a list of them.

        Raises:
            TemplateError: there are no branches.
        """
        # StepOptions has no place for it: only a decision has branches.
        chosen: Any = {**options, "branches": listed(branches)}
        if not chosen["branches"]:
            told = f"decision {name!r}" if name is not None else "a decision"
            raise TemplateError(self.name, [f"{told} has no branches: expected one at least"])
        return cast(DecisionDecorator, self.step(name=name, **chosen))

    def wait_for(
        self,
        name: str,
        on: OnEvent[U],
        *,
        after: Iterable[DeclaredStep[..., Any, Any]] = (),
        when: str = "",
        deadline: timedelta | None = None,
        on_deadline: Literal["fail", "skip"] = "fail",
        description: str = "",
    ) -> DeclaredWait[U]:
        """Declare a step that waits for an event from outside: `template.wait_for("payment", received(captured))`.

        Args:
            after: The wait begins when these are over; an event that came before is taken.
            when: As of every step.
            deadline: How long it waits; for ever unless said.
            on_deadline: Whether it has then failed, or is skipped.
        """
        options: Any = {"on": on, "awaits": "event", "after": listed(after), "when": when, "deadline": deadline}
        options |= {"on_deadline": on_deadline, "description": description}
        step: DeclaredWait[U] = DeclaredWait(self, name, no_handler, options, {})
        self.declared.append(step)
        self._compiled = None
        return step

    @overload
    def event(self, name: str, model: type[U]) -> DeclaredEvent[U]: ...
    @overload
    def event(self, name: str) -> DeclaredEvent[Any]: ...
    def event(self, name: str, model: Any = Any) -> DeclaredEvent[Any]:
        """Declare an event that may come from outside, and the type of its payload: any JSON, unless said."""
        event: DeclaredEvent[Any] = DeclaredEvent(self, name, model)
        self.events.append(event)
        self._compiled = None
        return event

    @classmethod
    def from_yaml(
        cls, path_or_text: str | os.PathLike[str], *, handlers: Handlers, context: Any = None
    ) -> TaskTemplate[Any]:
        """The template that a YAML file declares. In Python and in YAML, the same template has the same digest.

        Args:
            path_or_text: A path, also as a text that ends with `.yaml` or `.yml`; any other text is the YAML itself.
            handlers: What the file can name, and nothing else: functions by name, a module, or an object with methods.
                Types may stand beside them.
            context: The context's type, if no handler takes it and it is not registered.

        Raises:
            YamlError: with every mistake, its line and a code.
        """
        # Not above: whoever imports a template into a sandboxed workflow of his own would import the YAML library too.
        from tasker_temporal.yaml import Makes, declare_yaml

        makes = Makes(cls, {"handler": _declared, "event": _declared_wait, "approval": _declared_approval})
        template: TaskTemplate[Any] = declare_yaml(path_or_text, handlers, context, makes)
        return template

    def to_yaml(self) -> str:
        """The template as YAML. `from_yaml`, with these handlers, makes the same template of it.

        Raises:
            TemplateError: the template has mistakes.
        """
        from tasker_temporal.yaml import write_template

        names = {name: _name_of(step.function, name) for name, step in self.handlers.items()}
        told = {step.name: step.notify for step in self.declared if isinstance(step, DeclaredApproval)}
        notifiers = {step: _name_of(notify, "") for step, notify in {"": self.notify, **told}.items() if notify}
        others = {step: name for step, name in names.items() if step != name}
        return write_template(self.compiled, others, notifiers)

    def _add(
        self, name: str, function: Any, options: StepOptions, names: Mapping[str, Any]
    ) -> DeclaredStep[..., Any, Any]:
        if not callable(function) or isinstance(function, type):
            hint = f"; did you mean name={function!r}?" if isinstance(function, str) else ""
            mistake = f"step {name!r}: its handler is {shown(function)}: expected a function{hint}"
            raise TemplateError(self.name, [mistake])
        known, unknown = sorted_out(options, [*STEP_OPTIONS, *(["branches"] if "branches" in options else [])])
        step: DeclaredStep[..., Any, Any] = DeclaredStep(self, name, function, cast(StepOptions, known), names)
        step.unknown = unknown
        self.declared.append(step)
        self._compiled = None
        return step

    def custom_event(
        self,
        name: str,
        model: type[U],
        *,
        description: str = "",
        version: int = 1,
        category: Literal["custom", "telemetry"] = "custom",
    ) -> CustomEvent[U]:
        """Declare an event that the handlers of this template may publish.

        Args:
            name: Dotted, in a namespace of yours: `order.priced`.
            model: The type of what it says.
            version: Raise it when the type changes so that its readers must change too.
            category: `telemetry` if it is for those who measure: then telemetry counts each.

        Raises:
            EventError: the name is in use, or none that a template may use, or the type has no JSON Schema.
        """
        event = CustomEvent(name, model, description, version, category)
        EventRegistry([event.definition, *(known.definition for known in self.custom_events)])
        self.custom_events.append(event)
        self._compiled = None
        return event

    @property
    def version(self) -> str:
        return self.options.get("version", Template.model_fields["version"].default)

    @property
    def compiled(self) -> Template:
        """The template as plain data.

        Raises:
            TemplateError: something in the declaration is wrong; the message has every mistake.
        """
        if self._compiled is None:
            options = {**self.options, "notify": self.notify}
            custom = [event.name for event in self.custom_events]
            self._compiled = compile_template(
                self.name, self.context, self.declared, self.events, options, custom, self.unknown
            )
        return self._compiled

    @property
    def handlers(self) -> dict[str, DeclaredStep[..., Any, Any]]:
        """The declared steps that have a handler, by name."""
        return {step.name: step for step in self.declared if step.awaits == "handler"}

    def __repr__(self) -> str:
        return f"<template {self.name} {self.version}>"


def _declared(template: TaskTemplate[Any], name: str, handler: Handler, result: Any) -> DeclaredStep[..., Any, Any]:
    assert handler.function is not None
    return DeclaredStep(template, name, handler.function, {}, handler.names)


def _declared_wait(template: TaskTemplate[Any], name: str, handler: Handler, result: Any) -> DeclaredWait[Any]:
    return DeclaredWait(template, name, no_handler, {}, {})


def _declared_approval(template: TaskTemplate[Any], name: str, handler: Handler, form: Any) -> DeclaredApproval[Any]:
    told: Any = {} if handler.function is None else {"notify": handler.function}
    return DeclaredApproval(template, name, form, told)


def _name_of(function: Any, otherwise: str) -> str:
    return str(getattr(function, "__name__", otherwise))


def _names_of_caller() -> Mapping[str, Any]:
    """Annotations may name what is local to the function that declares the step, as in tests."""
    frame = sys._getframe(2)
    return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)
