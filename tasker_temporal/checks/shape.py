"""The shape of a graph: its levels, and what follows from what."""

from __future__ import annotations

from tasker_temporal.core.template import Template


def levels(template: Template) -> list[list[str]]:
    """The steps by how many others stand before them at most, each level in declared order."""
    depth: dict[str, int] = {}
    for name in ordered(template):
        depth[name] = 1 + max((depth[other] for other in template.step(name).needs), default=-1)
    found: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for step in template.steps:
        found[depth[step.name]].append(step.name)
    return found


def ordered(template: Template) -> list[str]:
    """Each step after those that it needs."""
    waiting = {step.name: len(step.needs) for step in template.steps}
    ready = [step.name for step in template.steps if not step.needs]
    for name in ready:
        for follower in template.followers(name):
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    return ready
