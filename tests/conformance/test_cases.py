"""Each behaviour is the same in memory and on a server; what a server fed the core gives the same audit in memory."""

from __future__ import annotations

import pytest

from tests.conformance.case import Case, paths
from tests.conformance.cases import CASES
from tests.conformance.conftest import Played
from tests.conformance.stages import in_memory

LONG = ("largest",)
EACH = [
    pytest.param(case, id=case.name, marks=[pytest.mark.long, pytest.mark.timeout(900)] if case.name in LONG else [])
    for case in CASES
]


@pytest.mark.parametrize("case", EACH)
async def test_in_memory(case: Case) -> None:
    case.check(await in_memory(case))


@pytest.mark.parametrize("case", EACH)
async def test_on_the_server(case: Case, played: Played) -> None:
    seen = await played[case.name]
    case.check(seen)
    assert paths(seen.audit) == paths((await in_memory(case)).audit)
