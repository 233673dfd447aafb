"""Plays the executions of a task in memory: as the script says, or by the real handler, run as a worker would."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NamedTuple

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from tasker_temporal.activities import StepActivity
from tasker_temporal.attempt import StepFailure, timed_out
from tasker_temporal.core.messages import Failure, HandlerMissing, RunStep, StepFailed, StepSucceeded
from tasker_temporal.core.task import Task
from tasker_temporal.declare import DeclaredStep, TaskTemplate
from tasker_temporal.errors import ScriptError
from tasker_temporal.outcomes import failed, failure_of, succeeded
from tasker_temporal.payloads import content_of
from tasker_temporal.retry_after import seconds_of
from tasker_temporal.testing.memory import AT_ONCE, Ended
from tasker_temporal.testing.script import Fail, Hang, NoHandler, Ok, Outcomes, duration, outcome_of
from tasker_temporal.wire import BACKSTOP, activity_id, step_call

CONVERTER: Final = PydanticPayloadConverter()


class End(NamedTuple):
    """What comes of one execution, and how long after its beginning."""

    fact: Ended
    after: timedelta = AT_ONCE
    heeds_stop: bool = False


class Handlers:
    """The handlers of one template. A step that the script names is never run for real."""

    def __init__(
        self, declared: Mapping[str, DeclaredStep[..., Any, Any]], outcomes: Outcomes, executor: Executor
    ) -> None:
        self._activities = {name: StepActivity(step, executor) for name, step in declared.items()}
        self._untyped = StepActivity(_ANYTHING, executor)
        self._outcomes = outcomes

    async def run(self, task: Task, command: RunStep) -> End:
        """One execution.

        Raises:
            ScriptError: the script has no outcome for it, or one that its handler could not have.
        """
        if command.step not in self._outcomes:
            return End(await self._run_for_real(task, command))
        end = self._play(task, command)
        timeout = task.steps[command.step].template.timeout
        return end if end.after <= timeout else end._replace(fact=_timed_out(command, timeout), after=timeout)

    async def _run_for_real(self, task: Task, command: RunStep) -> Ended:
        template = task.steps[command.step].template
        environment = ActivityEnvironment()
        environment.payload_converter = CONVERTER
        environment.info = replace(
            environment.info,
            workflow_id=task.id,
            activity_id=activity_id(command.step, command.execution),
            start_to_close_timeout=template.timeout + BACKSTOP,
            heartbeat_timeout=template.heartbeat_timeout,
        )
        first, *values = step_call(task, template, command.attempt)
        try:
            result = await environment.run(self._activities[command.step].__call__, first, values)
        except ApplicationError as error:
            return failed(command, error)
        return succeeded(command, result.payload)

    def _play(self, task: Task, command: RunStep) -> End:
        match outcome_of(self._outcomes, command.step, command.execution):
            case Ok(value, takes):
                return End(self._returned(command, value), duration(takes))
            case Fail() as fail:
                return End(_raised(task, command, fail), duration(fail.takes))
            case Hang(deaf):
                return End(_timed_out(command, timedelta.max), timedelta.max, heeds_stop=not deaf)
            case NoHandler():
                handler = task.template.activity_type(command.step)
                return End(HandlerMissing(command.step, command.execution, handler))

    def _returned(self, command: RunStep, value: object) -> Ended:
        activity = self._activities.get(command.step, self._untyped)
        try:
            payload = activity.encode(value, CONVERTER)
        except StepFailure as error:
            if error.type == "StepResultInvalid":
                raise ScriptError(f"step {command.step!r}: the script says that {error.message}") from error
            return StepFailed(command.step, command.execution, failure_of(error))
        return StepSucceeded(command.step, command.execution, content_of(payload))


def _raised(task: Task, command: RunStep, fail: Fail) -> StepFailed:
    after = seconds_of(fail.retry_after, task.now + duration(fail.takes))
    return StepFailed(command.step, command.execution, Failure(fail.kind, fail.message, not fail.permanent, after))


def _timed_out(command: RunStep, timeout: timedelta) -> StepFailed:
    return StepFailed(command.step, command.execution, failure_of(timed_out(command.attempt, timeout)))


def _anything() -> Any:
    """Stands for the handlers of a compiled template, which has none."""


_ANYTHING: Final = TaskTemplate("anything").add_step("anything", _anything)
