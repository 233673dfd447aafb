"""Looks at a template before it runs: what can never be, what cannot hold, and what an edit changes."""

from tasker_temporal.checks.checking import check
from tasker_temporal.checks.comparing import Comparison, compare
from tasker_temporal.checks.finding import CODES, Finding, Severity

__all__ = ["CODES", "Comparison", "Finding", "Severity", "check", "compare"]
