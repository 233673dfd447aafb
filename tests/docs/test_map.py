"""The map tells of every name in the design document, and what it says of this repository is so."""

from __future__ import annotations

import importlib
import re
from functools import reduce

import pytest

from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.machine import STEP_TABLE, TASK_TABLE
from tasker_temporal.core.task_types import CRITICAL
from tests.docs.blocks import ROOT

MAP = (ROOT / "docs" / "map.md").read_text()

# Everything that the design document names. It is not in this repository.

NAMED = {
    "classes": """
    ApprovalRequestMailer ActiveRecord::Migration ActiveSupport::HashWithIndifferentAccess ActiveSupport::Notifications
    ApplicationJob ApplicationRecord BaseStateMachine BatchTaskStateMachine Concurrent::Future Constants::TaskStatuses
    Constants::WorkflowStepStatuses CriticalTaskStateMachine Dry::Events Dry::Events::Publisher DynamicWorkflowRouter
    ErrorHandler EventDefinition EventRegistry EventSchema LifecycleEvents MigrateToStatesman PriorityStepExecutor
    RetryJob RetryScheduler STEP_TRANSITIONS StateMachine::Compatibility StateTransition Statesman
    Statesman::Adapters::ActiveRecordQueries Statesman::GuardFailedError StepExecutor StepGroup StepStateMachine
    TASK_TRANSITIONS Task TaskFinalizer TaskHandler::InstanceMethods TaskStateMachine TaskTransition
    Tasker.configuration.use_declarative_workflow? ViableStepDiscovery WorkflowOrchestrator WorkflowStep
    WorkflowStepTransition
    """,
    "methods": """
    blocked_by_errors? calculate_backoff determine_processing_mode finalize find_viable_steps fire fire_error
    fire_with_span get_sequence get_step_handler handle handle_one_step handle_viable_steps is_step_viable?
    guard_transition before_transition after_transition update_status! validate_context
    """,
    "event names": """
    task.initialize_requested task.start_requested task.completed task.failed task.retry_requested
    step.initialize_requested step.execution_requested step.completed step.failed step.retry_requested
    task.state_changed step.state_changed task.before_transition task.after_transition step.before_transition
    step.after_transition workflow.task_started workflow.task_completed workflow.step_completed
    workflow.viable_steps_discovered workflow.no_viable_steps workflow.batch_processing_started
    workflow.batch_processing_completed workflow.task_reenqueue_requested workflow.task_state_unclear batch_ready
    error.task_blocked retry.immediate Events::Task::COMPLETE Events::Task::ERROR Events::Step::HANDLE
    Events::Step::COMPLETE Events::Step::ERROR Events::Step::BACKOFF Events::Step::RETRY
    Events::Step::MAX_RETRIES_REACHED
    """,
    "statuses": "pending in_progress complete error cancelled resolved_manually pending_approval",
    "modes and types": "concurrent sequential high_priority batch_processing sequential_only critical batch",
    "metadata": """
    triggered_by executor finalizer handler_class execution_successful results error backtrace exception_object
    error_details error_steps span_context validation_errors previous_attempt manual_approval migration original_status
    migrated_at inferred_transition
    """,
}

STEPS_OF_PHASES = "1.1 1.2 1.3 2.1 2.2 3.1 3.2 4.1 4.2 5.1 5.2 6.1 6.2"

CRITERIA = {"Technical": 13, "For developers": 8, "In operation": 12}
"""How many the document has in each group."""


@pytest.mark.parametrize("name", [name for names in NAMED.values() for name in names.split()])
def test_every_name_of_the_document_is_on_the_map(name: str) -> None:
    assert re.search(rf"(?<![\w.:]){re.escape(name)}(?![\w:])", _code()), name


def test_every_phase_and_every_step_of_it_is_on_the_map() -> None:
    section = _section("Phases")
    for step in STEPS_OF_PHASES.split():
        assert re.search(rf"(?<![\d.]){re.escape(step)}(?![\d.])", section), step
    assert [f"Phase {number}, item by item" in MAP for number in range(1, 6)] == [True] * 5


@pytest.mark.parametrize("group", CRITERIA)
def test_every_success_criterion_is_on_the_map(group: str) -> None:
    lines = [line for line in _section(group).splitlines() if line.startswith("| ")]
    assert len(lines) - 2 == CRITERIA[group]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tasker_temporal[\w.]*(?::[\w.]+)?)`", MAP))))
def test_what_the_map_names_in_the_package_is_there(name: str) -> None:
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    reduce(getattr, path.split(".") if path else (), found)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tests|benchmarks|examples|docs)(?:/[\w./-]+)?)`", MAP))))
def test_every_file_that_the_map_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_an_event_that_is_kept_is_registered_and_one_that_is_not_yet_here_is_not() -> None:
    for names, here in _rows(_section("Events")):
        for name in re.findall(r"`((?:task|step|workflow|error|retry)\.[\w.]+)`", names):
            assert (name in EVENTS) == here.startswith("The same name"), name


def test_a_status_that_is_not_yet_here_has_no_move() -> None:
    reached = {str(to) for table in (TASK_TABLE, STEP_TABLE, CRITICAL.table) for _, to in table}
    for names, here in _rows(_section("Statuses")):
        for name in set(re.findall(r"`(\w+)`", names)) & set(NAMED["statuses"].split()):
            assert (name in reached) == ("*Not yet*" not in here), name


def _code() -> str:
    """All that stands between backticks."""
    return "\n".join(re.findall(r"`([^`]+)`", MAP))


def _section(title: str) -> str:
    """The text below a heading, up to the next of the same depth or a higher one."""
    found = re.search(rf"^(#+) {re.escape(title)}$", MAP, re.MULTILINE)
    assert found is not None, title
    depth = len(found[1])
    return re.split(rf"^#{{1,{depth}}} ", MAP[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def _rows(section: str) -> list[tuple[str, str]]:
    """The two columns of a section's tables."""
    return [(row[0], row[1]) for row in re.findall(r"^\| (.*?) \| (.*) \|$", section, re.MULTILINE)]
