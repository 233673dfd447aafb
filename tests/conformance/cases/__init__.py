"""Every case, by what it is about."""

from tests.conformance.cases import (
    approvals,
    doors,
    events,
    failures,
    graphs,
    legality,
    requests,
    runs,
    sizes,
    triggers,
    types,
    workers,
)

CASES = [
    *graphs.CASES,
    *failures.CASES,
    *events.CASES,
    *requests.CASES,
    *doors.CASES,
    *legality.CASES,
    *triggers.CASES,
    *sizes.CASES,
    *runs.CASES,
    *workers.CASES,
    *approvals.CASES,
    *types.CASES,
]
