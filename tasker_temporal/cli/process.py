"""How the command's processes end: told by a signal, with an exit code, and without the interpreter's own farewell."""

from __future__ import annotations

import asyncio
import atexit
import errno
import os
import signal
import sys
import traceback
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NoReturn

import click

from tasker_temporal.cli.options import unwritable
from tasker_temporal.errors import ContextInvalid, RecordError, RequestUnanswered, TaskEnded, TaskerError, UnknownTask

CLEAN, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
"""The exit codes."""


class WrongUse(click.ClickException):
    """The user must do something else first; the message says what."""

    exit_code = WRONG_USE


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""How the system says that nothing more can be written."""


def run(main: Coroutine[Any, Any, int]) -> NoReturn:
    """Run `main` to its end, and leave with the code that it returns."""
    leave(_code_of(main))


def _code_of(main: Coroutine[Any, Any, int]) -> int:
    try:
        return asyncio.run(main)
    except (WrongUse, TaskerError) as error:
        click.echo(f"Error: {_told(error)}", err=True)
        return FAILED if isinstance(error, (TaskEnded, RecordError)) else WRONG_USE
    except BrokenPipeError:
        return CLEAN
    except OSError as error:
        if error.errno not in FULL:
            traceback.print_exc()
            return FAILED
        click.echo(f"Error: {unwritable(error)}", err=True)
        return WRONG_USE
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        return FAILED


def _told(error: Exception) -> str:
    """The problems of a context fit on one line; the mistakes of a template do not."""
    if isinstance(error, ContextInvalid):
        return str(error).replace(":\n  - ", ": ", 1).replace("\n  - ", "; ") + "; nothing was started"
    if isinstance(error, UnknownTask):
        return f"{error}: look for it with `tasker list`"
    if isinstance(error, RequestUnanswered):
        return str(error).replace("request_id=" + repr(error.request_id), f"--request-id {error.request_id}")
    return str(error)


def leave(code: int) -> NoReturn:
    """End this process now, with everything flushed.

    The SDK's runtime has threads of its own that may abort the process while the interpreter takes itself apart, and a
    handler that ignores its cancellation would hold it for ever. So the interpreter is not asked: what was registered
    to run at exit (exporters of telemetry, logging) runs here.
    """
    with suppress(Exception):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


STOPPING = tuple(number for name in ("SIGTERM", "SIGINT", "SIGHUP") if (number := getattr(signal, name, None)))
"""What asks a process to end: a supervisor, Ctrl-C, and a terminal that is closed."""


def _is_kept(number: signal.Signals) -> bool:
    """`nohup` has a process ignore that its terminal is closed. What else a shell has it ignore is still heard."""
    return number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN


def told_to_stop() -> asyncio.Event:
    """Is set by the first signal to stop; the second one does what it does in any program."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    heard = [number for number in STOPPING if not _is_kept(number)]

    def tell() -> None:
        told.set()
        for number in heard:
            loop.remove_signal_handler(number)

    for number in heard:
        # Windows has no such handlers; there Ctrl-C interrupts the loop.
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, tell)
    return told
