"""The doors of the core: what each message from outside asks for, or why it is refused.

A request's door raises `RequestRefused`; a fact's door never does. Both only yield what the engine then does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tasker_temporal.core.intake.asks import ASKS
from tasker_temporal.core.intake.facts import FACTS
from tasker_temporal.core.messages import Message
from tasker_temporal.core.task import Task

Door = Callable[[Any, Task], Iterator[Message]]

DOORS: Final[Mapping[type, Door]] = {**ASKS, **FACTS}
