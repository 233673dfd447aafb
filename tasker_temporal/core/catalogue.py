"""The events that are published inside a task: one line for each, with its shape, what it means, and who says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tasker_temporal.core import events as shapes
from tasker_temporal.core.events import Payload
from tasker_temporal.core.machine import STEP_TABLE, TASK_TABLE, Table
from tasker_temporal.core.registry import EventDefinition, EventRegistry

TASK_MEANINGS: Final[Mapping[str, str]] = {
    "initialize_requested": "The task was asked for: its audit begins.",
    "start_requested": "The task moves: its steps may start.",
    "completed": "Every step is done, and so is the task.",
    "failed": "The task cannot go on: a step failed for good, or its context is not valid.",
    "cancelled": "The task was cancelled, and nothing of it runs any more.",
    "paused": "Somebody paused the task: nothing new starts.",
    "resumed": "Somebody resumed the task.",
    "retry_requested": "Somebody wants the failed task to go on.",
    "resolved_manually": "Somebody dealt with the failed task by hand.",
}

STEP_MEANINGS: Final[Mapping[str, str]] = {
    "initialize_requested": "The step exists, and waits.",
    "execution_requested": "An execution of the step was ordered.",
    "completed": "The handler returned, and its result is kept.",
    "failed": "An attempt failed.",
    "skipped": "The step will not run: what it needs never comes, or somebody skipped it.",
    "cancelled": "The step was stopped, or never began, because its task was cancelled.",
    "retry_requested": "The failed step goes back to be tried again.",
    "resolved_manually": "Somebody dealt with the step by hand, without a result.",
    "completed_manually": "Somebody gave the step's result by hand.",
    "redo_requested": "A step that was over is done once more, in a new round.",
}


def _moves(table: Table, meanings: Mapping[str, str], payload: type[Payload]) -> Iterator[EventDefinition]:
    """One event for each row of a machine's table."""
    make = EventDefinition.task if payload is shapes.TaskTransitioned else EventDefinition.step
    for event in dict.fromkeys(table.values()):
        name = event.partition(".")[2]
        yield make(name, payload, meanings[name], "core.moves")


FACTS, ASKS, SUBSCRIBERS = "core.intake.facts", "core.intake.asks", "core.subscribers."

HANDLER = SUBSCRIBERS + "failure_handler"

SWEEPER = "sinks.ends"

APPROVER, TYPES = SUBSCRIBERS + "approver", "core.task_types"

_task, _step, _workflow, _approval, _external, _around = (
    EventDefinition.task,
    EventDefinition.step,
    EventDefinition.workflow,
    EventDefinition.approval,
    EventDefinition.external,
    EventDefinition.state_machine,
)

EVENTS: Final = EventRegistry(
    (
        *_moves(TASK_TABLE, TASK_MEANINGS, shapes.TaskTransitioned),
        *_moves(STEP_TABLE, STEP_MEANINGS, shapes.StepTransitioned),
        _task("cancel_requested", shapes.RowWritten, "Somebody wants the task to stop.", ASKS),
        _task("hold_ended", shapes.RowWritten, "Nobody stepped in while the failed task was held.", FACTS),
        _step("changed", shapes.StepNoted, "Somebody changed how the step runs in this task.", ASKS),
        _step("deadline_exceeded", shapes.StepNoted, "The step's deadline passed between two attempts.", FACTS),
        _step("handler_missing", shapes.StepNoted, "A worker that took the step has no handler for it.", FACTS),
        _step("redispatched", shapes.StepNoted, "The step was sent out again, to a worker with its handler.", FACTS),
        _step("outcome_noted", shapes.StepNoted, "An execution ended whose outcome nobody awaits any more.", FACTS),
        _step("failure_handled", shapes.StepNoted, "Another step runs because of the failure.", HANDLER),
        _step("condition_met", shapes.StepNoted, "The step's condition holds.", "core.judgement"),
        _step("time_elapsed", shapes.StepNoted, "A time that the step's trigger counted is over.", FACTS),
        _step("backoff", shapes.Backoff, "The step waits for its next attempt.", SUBSCRIBERS + "retry_scheduler"),
        _step(
            "max_retries_reached",
            shapes.AttemptsUsedUp,
            "The step has used up its attempts.",
            SUBSCRIBERS + "error_handler",
        ),
        _step(
            "failed_permanently",
            shapes.FailedPermanently,
            "No attempt follows the failed one, whatever is left.",
            SUBSCRIBERS + "error_handler",
        ),
        _task("terminated", shapes.RunEnded, "Somebody ended the run by force, so no row tells it.", SWEEPER),
        _task("timed_out", shapes.RunEnded, "The run took longer than it may, so no row tells it.", SWEEPER),
        _task("aborted", shapes.RunEnded, "The run failed in a way that no row could tell.", SWEEPER),
        _workflow("drain_requested", shapes.RowWritten, "The history is long: nothing starts in this run.", FACTS),
        _workflow("run_continued", shapes.RowWritten, "The task goes on in a new run.", FACTS),
        _workflow("run_reopened", shapes.RowWritten, "The failed task goes on in a new run.", FACTS),
        _workflow("request_refused", shapes.RowWritten, "What came by signal was refused.", FACTS),
        _workflow("task_started", shapes.Payload, "The task has begun, or goes on.", SUBSCRIBERS + "orchestrator"),
        _workflow("step_completed", shapes.StepOver, "A step is over, well or skipped.", SUBSCRIBERS + "orchestrator"),
        _workflow("round_begun", shapes.StepsNamed, "These steps are done once more.", ASKS),
        _workflow(
            "viable_steps_discovered",
            shapes.StepsNamed,
            "These steps can start now.",
            SUBSCRIBERS + "viable_step_discovery",
        ),
        _workflow(
            "no_viable_steps",
            shapes.Payload,
            "No step can start now: is the task over?",
            SUBSCRIBERS + "viable_step_discovery",
        ),
        _workflow(
            "task_state_unclear",
            shapes.Unclear,
            "Nothing will ever move the task again, and it is not over.",
            SUBSCRIBERS + "task_finalizer",
        ),
        _workflow(
            "error.retry_wanted",
            shapes.StepNamed,
            "A failed step has attempts left.",
            SUBSCRIBERS + "error_handler",
        ),
        _workflow(
            "error.task_blocked",
            shapes.StepsNamed,
            "What failed keeps the task from going on.",
            SUBSCRIBERS + "task_finalizer",
        ),
        _task("routed", shapes.RowWritten, "How the task is processed was found.", SUBSCRIBERS + "router"),
        _external("received", "Something happened outside, and perhaps a step waits for it.", ASKS),
        _task("approval_requested", shapes.TaskTransitioned, "Every step is over: people must approve.", TYPES),
        _task("moved", shapes.TaskTransitioned, "The task is in a state of its type's own.", TYPES),
        _approval("requested", "People are asked to decide.", APPROVER),
        _approval("voted", "Somebody voted, perhaps before the approval opened.", "core.intake.votes"),
        _approval("withdrawn", "Somebody took a vote back.", "core.intake.votes"),
        _approval("escalated", "The deadline passed: more people are asked.", FACTS),
        _approval("decided", "The votes decided, or the deadline did.", APPROVER),
        _approval("notification_failed", "The notifier of an approval failed for good.", FACTS),
        _around("task.before_transition", "The task is about to move."),
        _around("task.after_transition", "The task has moved."),
        _around("step.before_transition", "A step is about to move."),
        _around("step.after_transition", "A step has moved."),
    )
)
