"""The test kit: run a task in memory and in virtual time, with its steps' ends scripted or their handlers for real."""

from tasker_temporal.core.requests import CancelTask, SkipStep
from tasker_temporal.testing.memory import Fed, MemoryDriver, feed_again
from tasker_temporal.testing.run import TaskRun, run_task
from tasker_temporal.testing.script import Fail, Hang, NoHandler, Ok, Outcome
from tasker_temporal.testing.transitions import assert_transitions

__all__ = [
    "CancelTask",
    "Fail",
    "Fed",
    "Hang",
    "MemoryDriver",
    "NoHandler",
    "Ok",
    "Outcome",
    "SkipStep",
    "TaskRun",
    "assert_transitions",
    "feed_again",
    "run_task",
]
