"""Every older name of an event is on its page, and leads to a name that is used here, or to a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasker_temporal.core.catalogue import EVENTS

PAGE = (Path(__file__).parents[2] / "docs/reference/vocabularies.md").read_text()

# fmt: off
OLDER = [
    "TaskerTask.Initialize", "TaskerTask.Start", "TaskerTask.Handle", "TaskerTask.Enqueue", "TaskerTask.Finalize",
    "TaskerTask.Error", "TaskerTask.Complete", "TaskerStep.FindViable", "TaskerStep.Handle", "TaskerStep.Complete",
    "TaskerStep.Error", "TaskerStep.Retry", "TaskerStep.MaxRetriesReached", "TaskerStep.Backoff", "TaskerStep.Skip",
    "task.initialize_requested", "task.start_requested", "task.completed", "task.failed", "task.retry_requested",
    "task.cancelled", "task.resolved_manually", "task.before_transition", "task.after_transition",
    "task.state_changed", "step.initialize_requested", "step.execution_requested", "step.before_handle",
    "step.handle", "step.completed", "step.failed", "step.retry_requested", "step.cancelled",
    "step.resolved_manually", "step.before_transition", "step.after_transition", "step.state_changed",
    "workflow.task_started", "workflow.task_completed", "workflow.task_failed", "workflow.step_completed",
    "workflow.step_failed", "workflow.viable_steps_discovered", "workflow.no_viable_steps",
    "workflow.orchestration_requested", "workflow.batch_processing_started", "workflow.batch_processing_completed",
    "workflow.task_finalization_started", "workflow.task_finalization_completed", "workflow.task_reenqueue_started",
    "workflow.task_reenqueue_requested", "workflow.task_reenqueue_failed", "workflow.task_reenqueue_delayed",
    "workflow.task_state_unclear", "workflow.step_execution_failed", "workflow.viable_steps_batch_ready",
    "workflow.steps_execution_started", "workflow.steps_execution_completed", "error.task_blocked", "retry.immediate",
    "observability.task.handle", "observability.task.enqueue", "observability.task.finalize",
    "observability.step.handle", "observability.step.find_viable", "observability.step.backoff",
    "observability.step.skip", "observability.step.max_retries_reached", "handler.registered", "handler.unregistered",
    "handler.validation_failed", "plugin.registered", "plugin.unregistered", "plugin.validation_failed",
    "subscriber.registered", "subscriber.unregistered", "subscriber.validation_failed", "registry.sync_requested",
    "registry.health_check", "registry.stats_collected",
]
# fmt: on

ROWS = [
    (re.findall(r"`([^`]+)`", then), here) for then, here in re.findall(r"^\| (`.*?) \| (.*) \|$", PAGE, re.MULTILINE)
]


@pytest.mark.parametrize("name", OLDER)
def test_an_older_name_is_on_the_page_once(name: str) -> None:
    assert sum(name in names for names, _ in ROWS) == 1


@pytest.mark.parametrize(("names", "here"), ROWS, ids=[names[0] for names, _ in ROWS])
def test_it_leads_to_a_registered_event_or_to_a_reason(names: list[str], here: str) -> None:
    if here.startswith("The same name"):
        assert set(names) <= set(EVENTS)
    elif here.startswith("None. "):
        assert not set(names) & set(EVENTS)
    else:
        named = re.findall(r"`((?:task|step|workflow|error)\.[\w.]+)`", here)
        assert named
        assert set(named) <= set(EVENTS)
