"""A declared step: a plain function with a place in a template."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, Protocol, TypedDict, TypeVar, cast, overload

from pydantic import BaseModel

from tasker_temporal.core.retry import Retry
from tasker_temporal.core.wording import unknown_option
from tasker_temporal.expression import On
from tasker_temporal.signature import Marker, ResultOf, Signature, is_async, read

if TYPE_CHECKING:
    from tasker_temporal.declare.template import TaskTemplate

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
T = TypeVar("T", covariant=True)
U = TypeVar("U")


class StepOptions(TypedDict, total=False):
    """How a step is run.

    Keys:
        after: Steps that must be over first, without their results being asked for.
        on: What else must have become of steps, come from outside, or be over in time: `on=failed(charge)`.
        when: A condition in CEL over `context`, `result.<step>` and `event`, evaluated once, when all else is there;
            if it is false, the step is skipped.
        retry: How often and how late a failed attempt is followed by another.
        retryable: False for a handler that must never run twice, not even after its worker was lost.
        timeout: One attempt, 10 minutes unless said.
        deadline: The whole step, from its first attempt on; none unless said.
        heartbeat_timeout: A worker that says nothing for so long counts as lost, 30 seconds unless said.
        task_queue: Where the handler runs, the template's own queue unless said.
        formerly: Names that the step had; tasks that began under them find the handler.
        description: For people.
        config: JSON that the handler finds in its `StepContext`.
    """

    after: Iterable[DeclaredStep[..., Any, Any]]
    on: On
    when: str
    retry: Retry
    retryable: bool
    timeout: timedelta
    deadline: timedelta
    heartbeat_timeout: timedelta
    task_queue: str
    formerly: Iterable[str]
    description: str
    config: Mapping[str, Any]


class DeclaredStep(Generic[P, R, T]):
    """A step and its handler. It is still the function: call it with all its arguments, and it runs."""

    awaits: Literal["handler", "approval", "event"] = "handler"
    """What it waits for once it is in progress; only a `handler` is run by a worker."""

    def __init__(
        self,
        template: TaskTemplate[Any],
        name: str,
        function: Callable[P, R],
        options: StepOptions,
        names: Mapping[str, Any],
    ) -> None:
        self.template, self.name, self.function, self.options = template, name, function, options
        self.unknown: Sequence[str] = ()
        self._names = names
        functools.update_wrapper(self, function, updated=())

    @functools.cached_property
    def signature(self) -> Signature:
        """What the handler asks for, read once."""
        return read(self.function, self._names)

    @functools.cached_property
    def is_async(self) -> bool:
        return is_async(self.function)

    @functools.cached_property
    def _markers(self) -> dict[str, Marker]:
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if isinstance(p.default, Marker)}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._markers:
            given = inspect.signature(self.function).bind(*args, **kwargs).arguments
            for name in self._markers.keys() - given.keys():
                raise TypeError(f"{self.name}() misses the argument {name!r}, {self._markers[name]}")
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<step {self.template.name}.{self.name}>"


def result_of(step: DeclaredStep[..., Any, U]) -> U:
    """Hand over what `step` returns, and wait for it. Stands as a parameter's default, or in its `Annotated`.

    `async def charge(order: Order, cart: Cart = result_of(validate)) -> Payment: ...`, or
    `cart: Annotated[Cart, result_of(validate)]`. The types must fit; a type checker sees it too.
    """
    return cast(U, ResultOf(step))


class StepDecorator(Protocol):
    """What `@template.step(...)` gives: a decorator that keeps the function's type."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, U]], /
    ) -> DeclaredStep[P, Coroutine[Any, Any, U], U]: ...
    @overload
    def __call__(self, function: Callable[P, U], /) -> DeclaredStep[P, U, U]: ...


Branch = TypeVar("Branch", bound=str | Sequence[str])


class DecisionDecorator(Protocol):
    """What `@template.decision(...)` gives: a decorator for a handler that returns a branch, or several."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, Branch]], /
    ) -> DeclaredStep[P, Coroutine[Any, Any, Branch], Branch]: ...
    @overload
    def __call__(self, function: Callable[P, Branch], /) -> DeclaredStep[P, Branch, Branch]: ...


def listed(value: Any) -> Any:
    """A tuple of what the value has; the value itself if it is none of several, so that a text is not its letters."""
    is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping, BaseModel))
    return tuple(value) if is_list else value


def sorted_out(said: Mapping[str, Any], known: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The options that there are, lists as tuples; and what is said of the others."""
    strange = [f"it {unknown_option(name, known)}" for name in said if name not in known]
    found = ((name, value) for name, value in said.items() if name in known)
    return {name: listed(value) if name in LISTS else value for name, value in found}, strange


LISTS: Final = ("after", "formerly", "branches", "approvers", "escalate_to", "routes", "sinks")
STEP_OPTIONS: Final = tuple(StepOptions.__annotations__)
