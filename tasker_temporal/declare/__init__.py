"""How people declare a task: a template, and a plain function for each step of it."""

from tasker_temporal.declare.approvals import ApprovalOptions, DeclaredApproval
from tasker_temporal.declare.steps import DeclaredStep, StepOptions, result_of
from tasker_temporal.declare.template import TaskTemplate, TemplateOptions
from tasker_temporal.declare.waits import DeclaredWait

__all__ = [
    "ApprovalOptions",
    "DeclaredApproval",
    "DeclaredStep",
    "DeclaredWait",
    "StepOptions",
    "TaskTemplate",
    "TemplateOptions",
    "result_of",
]
