"""Where the demo prints."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class Screen(Console):
    """The console. If its reader goes away, as `head` does, the demo comes to its end in silence.

    Rich would raise SystemExit, which tears down an event loop while the worker in it waits to be stopped.
    """

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
