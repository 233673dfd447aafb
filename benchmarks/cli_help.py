"""How long `tasker --help` takes, as a process of its own: `python -m benchmarks.cli_help [runs]`.

The goal is a median below 300 ms; an interpreter that starts and does nothing is measured beside it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

GOAL = 0.3
"""Seconds."""

COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "tasker --help": ("-m", "tasker_temporal", "--help"),
    "tasker start --help": ("-m", "tasker_temporal", "start", "--help"),
    "tasker --version": ("-m", "tasker_temporal", "--version"),
}


def seconds(arguments: Sequence[str], runs: int) -> list[float]:
    """How long each run of the interpreter with these arguments took; one before them warms the caches."""
    taken = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return sorted(taken[1:])


def main() -> int:
    """Print median and worst of each command. Returns 1 if `tasker --help` misses its goal."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    medians = {}
    for name, arguments in COMMANDS.items():
        taken = seconds(arguments, runs)
        medians[name] = statistics.median(taken)
        print(f"{name:20}  median {1000 * medians[name]:4.0f} ms  worst {1000 * taken[-1]:4.0f} ms  of {runs} runs")
    return int(medians["tasker --help"] > GOAL)


if __name__ == "__main__":
    sys.exit(main())
