"""Every case, by what it is about."""

from tests.conformance.cases import approvals, doors, events, failures, graphs, requests, runs, sizes, workers

CASES = [
    *graphs.CASES,
    *failures.CASES,
    *events.CASES,
    *requests.CASES,
    *doors.CASES,
    *sizes.CASES,
    *runs.CASES,
    *workers.CASES,
    *approvals.CASES,
]
