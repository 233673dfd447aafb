"""A module of the user's: a workflow and activities of their own, in the same file as a template of ours."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

from tasker_temporal import TaskTemplate, result_of

bakery = TaskTemplate("beside.bakery", context=str)


@bakery.step
async def knead(customer: str) -> str:
    return f"dough for {customer}"


@bakery.step
def bake(dough: str = result_of(knead)) -> str:
    return f"bread of {dough}"


@activity.defn
async def greet(name: str) -> str:
    return f"hello {name}"


@activity.defn
def thread_of(name: str) -> str:
    return threading.current_thread().name


@workflow.defn
class Theirs:
    """It runs in the SDK's sandbox, which imports this file anew."""

    @workflow.run
    async def run(self, name: str) -> list[Any]:
        brief = timedelta(seconds=10)
        greeting = await workflow.execute_activity(greet, name, start_to_close_timeout=brief)
        thread = await workflow.execute_activity(thread_of, name, start_to_close_timeout=brief)
        return [greeting, thread, workflow.unsafe.in_sandbox()]
