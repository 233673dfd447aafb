"""Plays a task of a template before it runs: its order, its history, its critical path."""

from tasker_temporal.planning.playing import plan
from tasker_temporal.planning.told import Condition, Expected, Plan, PlannedStep, Wave

__all__ = ["Condition", "Expected", "Plan", "PlannedStep", "Wave", "plan"]
