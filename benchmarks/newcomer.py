"""A newcomer's path, timed: from a fresh clone, or a wheel, to the first finished task and to an own template running.

Nothing of this environment is used: a home of its own, a PATH with the system's commands only, and of the variables
those of pip, which tell where packages come from.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PATH: Final = "/usr/local/bin:/usr/bin:/bin"
GREETING: Final = ["tasker", "start", "shop.greet", "--context", '{"name": "Ada"}', "--wait"]


class Blocked(Exception):
    """The path is blocked: the command did not do what the README says."""


class Walk:
    """One newcomer. Each thing done is a line of `done`, with the seconds since the beginning."""

    def __init__(self, home: Path) -> None:
        self.home, self.done = home, list[tuple[str, float]]()
        self.bin: Path | None = None
        self._began = monotonic()

    @property
    def environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        config = os.environ.get("PIP_CONFIG_FILE") or str(Path.home() / ".config/pip/pip.conf")
        path = PATH if self.bin is None else f"{self.bin}:{PATH}"
        return {"HOME": str(self.home), "PATH": path, "PIP_CONFIG_FILE": config, **kept}

    def note(self, what: str) -> None:
        self.done.append((what, monotonic() - self._began))
        print(f"{self.done[-1][1]:7.1f} s  {what}", flush=True)

    def run(self, *command: str, folder: Path, until: str = "") -> str:
        """Run the command to its end. What it prints is noted when it first matches `until`."""
        told: list[str] = []
        with self.beside(*command, folder=folder) as process:
            assert process.stdout is not None
            for line in process.stdout:
                told.append(line)
                if until and re.search(until, line):
                    self.note(f"{shlex.join(command)}: {line.strip()}")
                    until = ""
            if process.wait():
                raise Blocked(f"{shlex.join(command)} ended with {process.returncode}:\n{''.join(told)}")
        if until:
            raise Blocked(f"{shlex.join(command)} never said {until!r}:\n{''.join(told)}")
        return "".join(told)

    @contextmanager
    def beside(self, *command: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
        """A command in a terminal of its own. It is told to stop at the end, if it still runs."""
        out = subprocess.STDOUT
        found = self._found(command[0])
        with subprocess.Popen(
            [found, *command[1:]], cwd=folder, env=self.environment, stdout=subprocess.PIPE, stderr=out, text=True
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.communicate()

    def _found(self, name: str) -> str:
        return str(self.bin / name) if self.bin is not None and (self.bin / name).exists() else name

    def serves(self, process: subprocess.Popen[str], until: str) -> None:
        """Wait for the line that says that it is ready."""
        assert process.stdout is not None
        if not any(re.search(until, line) for line in process.stdout):
            raise Blocked(f"{process.args!r} never said {until!r}")


def clone(walk: Walk, source: Path) -> None:
    """As the README begins: `git clone`, `make demo`."""
    walk.run("git", "clone", "--quiet", str(source), "tasker", folder=walk.home)
    walk.note("git clone")
    walk.run("make", "demo", folder=walk.home / "tasker", until=r"^order-\d+ +complete")
    walk.note("make demo: over")
    walk.bin = walk.home / "tasker/.venv/bin"


def wheel(walk: Walk, source: Path) -> None:
    """Who is handed a wheel: an environment, and `pip install`."""
    walk.run(sys.executable, "-m", "venv", "env", folder=walk.home)
    walk.bin = walk.home / "env/bin"
    walk.run("pip", "wheel", "--quiet", "--no-deps", "-w", "wheels", str(source), folder=walk.home)
    [built] = (walk.home / "wheels").glob("*.whl")
    walk.note("the wheel is built")
    constraints = str(source / "constraints.txt")
    walk.run("pip", "install", "--quiet", "-c", constraints, f"{built}[dev]", folder=walk.home)
    walk.note("pip install WHEEL[dev]")


def own_template(walk: Walk) -> None:
    """What `tasker new` says: a project, its test, a server, a worker, a task; then a change of its code."""
    walk.run("tasker", "new", "shop", folder=walk.home)
    shop = walk.home / "shop"
    walk.note("tasker new shop")
    walk.run("pip", "install", "--quiet", "pytest", folder=shop)
    walk.run("pytest", "-q", folder=shop, until="1 passed")
    with walk.beside("tasker", "dev", folder=shop) as server:
        walk.serves(server, r"Ctrl-C")
        walk.note("tasker dev: serves")
        with walk.beside("tasker", "worker", folder=shop) as worker:
            walk.serves(worker, r"Ctrl-C")
            walk.run(*GREETING, folder=shop, until=r"2 steps: 2 complete")
        tasks = shop / "tasks.py"
        tasks.write_text(tasks.read_text().replace("    return len(text)", "    return await count(text)") + COUNT)
        with walk.beside("tasker", "worker", folder=shop) as worker:
            walk.serves(worker, r"Ctrl-C")
            walk.run(*GREETING, folder=shop, until=r"3 steps: 3 complete")


COUNT: Final = """

async def count(text: str) -> int:
    return len(text)


@greet.step
def file(length: int = result_of(deliver)) -> str:
    return f"{length} letters"
"""

WAYS: Final = {"clone": clone, "wheel": wheel}


def main(arguments: Sequence[str] | None = None) -> int:
    """Walk, and print when what was done. Exits with 1 where the path is blocked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.newcomer", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("way", choices=WAYS, nargs="?", default="clone", help="where one begins (default: clone)")
    parser.add_argument("--source", type=Path, default=ROOT, help="the repository (default: this one)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        walk = Walk(Path(home))
        try:
            WAYS[options.way](walk, options.source.resolve())
            own_template(walk)
        except Blocked as blocked:
            print(blocked, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
