"""What is nearly too large, and what is."""

from __future__ import annotations

from tasker_temporal import State, TaskTemplate, result_of
from tasker_temporal.testing import Ok
from tests.conformance.case import Case
from tests.conformance.plays import play

FITS, TOO_LARGE = "x" * 1_900_000, "x" * 2_100_000
FAILED = "pending in_progress error"

large_result = TaskTemplate("large_result")
scan = large_result.add_step("scan", play)


@large_result.step
async def measure(pages: str = result_of(scan)) -> int:
    return len(pages)


large_context = TaskTemplate("large_context", context=str)


@large_context.step
async def first(context: str) -> int:
    return len(context)


@large_context.step
def second(context: str) -> int:
    return len(context)


two_large_results = TaskTemplate("two_large_results")
left = two_large_results.add_step("left", play)
right = two_large_results.add_step("right", play)


@two_large_results.step
async def merge(one: str = result_of(left), other: str = result_of(right)) -> int:
    return len(one) + len(other)


context_and_result = TaskTemplate("context_and_result", context=str)
copy = context_and_result.add_step("copy", play)


@context_and_result.step
async def compare(context: str, copied: str = result_of(copy)) -> bool:
    return context == copied


CASES = [
    Case(
        name="large-result",
        template=large_result,
        outcomes={"scan": [Ok(FITS)]},
        real=frozenset({"measure"}),
        results={"scan": FITS, "measure": 1_900_000},
    ),
    Case(
        name="too-large-result",
        template=large_result,
        outcomes={"scan": [Ok(TOO_LARGE)]},
        real=frozenset({"measure"}),
        state=State.ERROR,
        steps={"scan": State.ERROR, "measure": State.PENDING},
        paths={"scan": FAILED},
        errors={"scan": "StepResultTooLarge"},
    ),
    Case(
        name="large-context",
        template=large_context,
        context=FITS,
        real=frozenset({"first", "second"}),
        results={"first": 1_900_000, "second": 1_900_000},
    ),
    Case(
        name="two-large-results-for-one-step",
        template=two_large_results,
        outcomes={"left": [Ok(FITS)], "right": [Ok(FITS)]},
        state=State.ERROR,
        steps={"merge": State.ERROR},
        paths={"merge": FAILED},
        errors={"merge": "StepInputTooLarge"},
    ),
    Case(
        name="large-context-and-result-for-one-step",
        template=context_and_result,
        context=FITS,
        outcomes={"copy": [Ok(FITS)]},
        state=State.ERROR,
        steps={"compare": State.ERROR},
        errors={"compare": "StepInputTooLarge"},
    ),
]
