"""Runs one task in memory, from its context to its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar, overload

from temporalio.api.common.v1 import Payload

from tasker_temporal.client import start_arguments
from tasker_temporal.core.messages import AUTOMATIC, Notify, RunStep, Start
from tasker_temporal.core.report import TaskReport
from tasker_temporal.core.report import report as report_of
from tasker_temporal.core.requests import Ask
from tasker_temporal.core.rows import Row
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Template
from tasker_temporal.declare import DeclaredStep, TaskTemplate
from tasker_temporal.errors import RecordError, RequestRefused, ScriptError
from tasker_temporal.given import as_checked, declares
from tasker_temporal.local_activities import KEY_BYTES, check_context
from tasker_temporal.payloads import content_of, payload_of
from tasker_temporal.testing.handlers import CONVERTER, Handlers
from tasker_temporal.testing.memory import Fed, MemoryDriver
from tasker_temporal.testing.script import Delay, Outcome, Outcomes, duration
from tasker_temporal.wire import StartInput

T = TypeVar("T")

BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When a run begins, unless said."""

KEY: Final = bytes(KEY_BYTES)

Script = Mapping[Any, Outcome | Sequence[Outcome]]
"""For each step, by name or declared step, how its executions end: the first, the second, and so on."""


@dataclass(frozen=True)
class TaskRun:
    """A task that ran in memory.

    Attributes:
        report: Where it stands at its end. A task that failed or was cancelled raises nothing here.
        audit: Its rows.
        executions: How often each step's handler was called, or would have been.
        elapsed: Virtual time from its beginning to its end.
        messages: What the core was fed, and when: `feed_again` gives the same audit.
        refusals: Why requests were refused, if they were to be kept.
        notices: What the notifiers of its approvals would have been told. In memory none is called.
        task: The task itself.
    """

    report: TaskReport
    audit: Sequence[Row]
    executions: Mapping[str, int]
    elapsed: timedelta
    messages: Sequence[Fed]
    task: Task
    notices: Sequence[Notify] = ()
    refusals: Sequence[RequestRefused] = ()

    @overload
    def result_of(self, step: DeclaredStep[..., Any, T]) -> T: ...
    @overload
    def result_of(self, step: str) -> Any: ...
    def result_of(self, step: Any) -> Any:
        """What the step returned, as its handler's return type if the step itself is given.

        Raises:
            RecordError: the step has not completed.
        """
        known = self.task.steps[step if isinstance(step, str) else step.name]
        if known.result is None:
            raise RecordError(f"step {known.name!r} of task {self.task.id!r} is {known.state}: it has no result")
        payload = payload_of(known.result)
        if isinstance(step, str):
            return CONVERTER.from_payload(payload)
        return CONVERTER.from_payload(payload, step.signature.result)


async def run_task(
    template: TaskTemplate[Any] | Template,
    context: Any = None,
    outcomes: Script | None = None,
    *,
    task_id: str = "task",
    requests: Sequence[tuple[Delay, Ask]] = (),
    begin: datetime = BEGIN,
    actor: str = AUTOMATIC,
    refusals: Literal["raise", "keep"] = "raise",
) -> TaskRun:
    """Run a task to its end in memory and in virtual time: no server, no worker, and no waiting for backoffs.

        run = await run_task(order, Order(...), {charge: [Fail("busy"), Ok(Payment(...))]})
        assert run.report.state is State.COMPLETE

    A step whose outcomes are given is not run: its n-th execution ends as the n-th outcome says, and the last is
    repeated if it is `Ok`. Every other step's handler is called as a worker would call it, one at a time, and takes no
    virtual time; its own timeout is in real time.

    Args:
        template: Or a compiled template, if every step has outcomes.
        context: What `start_task` would take.
        requests: What is asked of the task, and how long after its beginning.
        begin: The virtual time of the beginning.
        actor: Who starts it.
        refusals: A request that is refused ends the run of the test (`raise`), or is as if it had not been made, and
            `TaskRun.refusals` has why (`keep`).

    Raises:
        ContextInvalid: the context does not validate.
        RequestRefused: a request broke a rule.
        ScriptError: the outcomes do not fit the template.
    """
    declared = template.handlers if isinstance(template, TaskTemplate) else {}
    compiled = template.compiled if isinstance(template, TaskTemplate) else template
    script = _checked(compiled, declared, outcomes or {})
    task = Task(task_id, compiled, content_of(_context(template, context)), KEY)
    driver = MemoryDriver(task, begin, Start(actor))
    refused: list[RequestRefused] | None = [] if refusals == "keep" else None
    for after, request in requests:
        with _keeping(refused):
            driver.ask(_as_checked(template, request), after=duration(after))
    with ThreadPoolExecutor(thread_name_prefix="tasker-step") as executor:
        handlers = Handlers(declared, script, executor)
        while (command := _next_step(driver, refused)) is not None:
            end = await handlers.run(task, command)
            driver.answer(command, end.fact, after=end.after, heeds_stop=end.heeds_stop)
    return _over(driver, begin, refused or ())


@contextmanager
def _keeping(refused: list[RequestRefused] | None) -> Iterator[None]:
    """A refusal goes into the list, if there is one."""
    try:
        yield
    except RequestRefused as error:
        if refused is None:
            raise
        refused.append(error)


def _next_step(driver: MemoryDriver, refused: list[RequestRefused] | None) -> RunStep | None:
    while True:
        with _keeping(refused):
            return driver.next_step()


def _as_checked(template: TaskTemplate[Any] | Template, request: Ask) -> Ask:
    """What it hands over is checked as a worker would."""
    if isinstance(template, TaskTemplate) and declares(template, request):
        return as_checked(template, request, CONVERTER)
    return request


def _checked(template: Template, declared: Mapping[str, Any], outcomes: Script) -> Outcomes:
    names = [step.name for step in template.steps]
    script = {
        step if isinstance(step, str) else step.name: list(ends) if isinstance(ends, Sequence) else [ends]
        for step, ends in outcomes.items()
    }
    if strangers := sorted(script.keys() - set(names)):
        raise ScriptError(f"the script names {', '.join(strangers)}: expected steps of {template.name!r}, as {names}")
    if waits := [step.name for step in template.steps if step.name in script and not step.runs]:
        raise ScriptError(f"step {waits[0]!r} has no handler to play: expected requests that decide it")
    if missing := [step.name for step in template.steps if step.runs and not {step.name} & {*script, *declared}]:
        raise ScriptError(f"step {missing[0]!r} has no handler here: expected outcomes of it in the script")
    return script


def _context(template: TaskTemplate[Any] | Template, context: Any) -> Payload:
    if isinstance(template, Template):
        return CONVERTER.to_payload(context)
    start = StartInput.first(template.compiled, KEY, AUTOMATIC)
    return start_arguments(CONVERTER, template, check_context(template, context), start)[0].payload


def _over(driver: MemoryDriver, begin: datetime, refused: Sequence[RequestRefused]) -> TaskRun:
    task = driver.engine.task
    return TaskRun(
        report=report_of(task),
        audit=tuple(task.rows),
        executions={name: step.execution for name, step in task.steps.items()},
        elapsed=driver.now - begin,
        messages=tuple(driver.fed),
        task=task,
        notices=tuple(driver.notices),
        refusals=tuple(refused),
    )
