"""Every case, by what it is about."""

from tests.conformance.cases import doors, failures, graphs, requests, runs, sizes, workers

CASES = [*graphs.CASES, *failures.CASES, *requests.CASES, *doors.CASES, *sizes.CASES, *runs.CASES, *workers.CASES]
