"""The command of a benchmark that needs no server: measure, print, and with `--quick` complain of what is too slow."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

Results = list[dict[str, Any]]
"""Of each case its figures, by the names of their columns."""


class Benchmark(NamedTuple):
    """What is measured in rounds, and when it is too slow."""

    name: str
    doc: str
    title: str
    """Of the table."""
    measure: Callable[[int], Results]
    complaints: Callable[[Sequence[Mapping[str, Any]]], list[str]]
    rounds: tuple[int, int]
    """With `--quick`, and without."""


def table(benchmark: Benchmark, results: Sequence[Mapping[str, Any]], rounds: int) -> Table:
    """The results for people."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    made = Table(title=f"{benchmark.title}\n(Python {python}, {rounds} rounds)")
    for column in results[0]:
        made.add_column(column, justify="left" if column == "shape" else "right")
    for line in results:
        made.add_row(*(str(value) for value in line.values()))
    return made


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns 1 if `--quick` found something too slow."""
    about = benchmark.doc.splitlines()[0]
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark.name}", description=about)
    parser.add_argument("--quick", action="store_true", help="few rounds, and fail if something is too slow")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rounds", type=int, help="how often each case is measured")
    options = parser.parse_args(arguments)
    rounds = options.rounds or benchmark.rounds[not options.quick]
    results = benchmark.measure(rounds)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        Console().print(table(benchmark, results, rounds))
    found = benchmark.complaints(results) if options.quick else []
    for complaint in found:
        print(complaint, file=sys.stderr)
    return 1 if found else 0
