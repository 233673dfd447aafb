"""A PostgreSQL server for a measurement, as it comes, in a folder that goes with it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

MISSING = "PostgreSQL is not measured: there is no `initdb` and no `pg_ctl` (Debian: apt-get install postgresql)"

PATH = os.pathsep.join([os.environ.get("PATH", ""), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))])
"""Debian has the binaries beside the PATH."""


def is_here() -> bool:
    """Its binaries are found."""
    return shutil.which("initdb", path=PATH) is not None and shutil.which("pg_ctl", path=PATH) is not None


@dataclass(frozen=True)
class Postgres:
    """A running server. It listens on a socket in its folder, and nowhere else."""

    folder: Path

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/bench?host={self.folder}"

    def pids(self) -> list[int]:
        """The server's process, and one for each of its connections and duties."""
        parent = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]


@contextmanager
def serving() -> Iterator[Postgres]:
    """Serve, with one empty database `bench`, as long as the block lasts."""
    with TemporaryDirectory() as name:
        folder, data = Path(name), Path(name) / "data"
        _give_away(folder)
        _run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust")
        listen = f"-c listen_addresses='' -c unix_socket_directories={folder}"
        _run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", listen, "start")
        try:
            _run("createdb", "-h", str(folder), "-U", "postgres", "bench")
            yield Postgres(folder)
        finally:
            _run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")


def _give_away(folder: Path) -> None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)


def _run(*command: str) -> None:
    user = "postgres" if os.geteuid() == 0 else None
    nothing = subprocess.DEVNULL
    found = shutil.which(command[0], path=PATH) or command[0]
    command = (found, *command[1:])
    subprocess.run(command, check=True, cwd="/", user=user, group=user, stdin=nothing, stdout=nothing, stderr=nothing)
