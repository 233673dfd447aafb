"""The loop of the core: one message in, every consequence applied, commands out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import chain, repeat
from operator import call
from typing import Any, Final

from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.events import Event, Payload, StepTransitioned, TaskTransitioned
from tasker_temporal.core.intake import DOORS
from tasker_temporal.core.messages import (
    AUTOMATIC,
    Announce,
    Answer,
    Command,
    Fact,
    Message,
    Note,
    StartTimer,
    StopTimer,
    TransitionTo,
)
from tasker_temporal.core.moves import move, note
from tasker_temporal.core.registry import EventRegistry
from tasker_temporal.core.repeats import answered, remember
from tasker_temporal.core.requests import Ask
from tasker_temporal.core.rows import Row
from tasker_temporal.core.subscribers import SUBSCRIPTIONS, Subscriptions
from tasker_temporal.core.task import Step, Task

Observer = Callable[[Event[Payload]], object]


class Engine:
    """Moves one task. Only the engine changes it; subscribers read it and say what they want.

    Args:
        task: The run to move, changed in place.
        subscriptions: Who listens to what.
        events: What may be published.
        observe: Called with each event after the whole message was applied, so it never hears of what was rolled back.
            What it returns is ignored: it cannot change the course of the task.
    """

    def __init__(
        self,
        task: Task,
        *,
        subscriptions: Subscriptions = SUBSCRIPTIONS,
        events: EventRegistry = EVENTS,
        observe: Observer | None = None,
    ) -> None:
        self.task = task
        self._subscriptions = subscriptions
        self._events = events
        self.observe = observe
        self._published: list[Event[Payload]] = []

    def apply(self, message: Ask | Fact, now: datetime) -> list[Command]:
        """Apply the message and all that follows from it, or nothing of it.

        Depth first: a message's consequences are over before its next sibling begins, so every subscriber sees a task
        that is between moves, never in the middle of one.

        Returns:
            What the caller must now do, in order.

        Raises:
            RequestRefused: the request broke a rule; the task is unchanged.
        """
        if isinstance(message, Ask) and self.answer(message) is not None:
            return []
        first = self.task.sort_key + 1
        try:
            commands = self._run(message, now)
            if isinstance(message, Ask):
                remember(self.task, message, first)
        except BaseException:
            self._published.clear()
            self.task.journal.rollback()
            raise
        self.task.journal.commit()
        if self.observe is not None:
            self._tell(self.observe)
        return commands

    def plan(self, request: Ask, now: datetime) -> list[Row]:
        """The rows that `request` would write if it came now: none if it came before. The task stays as it is.

        Raises:
            RequestRefused: it would be refused.
        """
        if self.answer(request) is not None:
            return []
        before = len(self.task.rows)
        try:
            self._run(request, now)
            return self.task.rows[before:]
        finally:
            self._published.clear()
            self.task.journal.rollback()

    def answer(self, request: Ask) -> Answer | None:
        """What the request did, if it came before, and is one of the last 1,000.

        Raises:
            RequestRefused: its id is that of another request.
        """
        return answered(self.task, request)

    def _run(self, message: Ask | Fact, now: datetime) -> list[Command]:
        self.task.tick(now)
        stack: list[tuple[Iterator[Message], int | None]] = [(DOORS[type(message)](message, self.task), None)]
        commands: list[Command] = []
        while stack:
            messages, cause = stack[-1]
            said = next(messages, None)
            if said is None:
                stack.pop()
            elif (say := SAYS.get(type(said))) is None:
                commands.append(self._keep(said))  # type: ignore[arg-type]
            elif (event := say(self, said, cause)) is not None:
                if self.observe is not None:
                    self._publish(event)
                stack.append((self._follow(event), event.cause))
        return commands

    def _follow(self, event: Event[Payload]) -> Iterator[Message]:
        """What the subscribers say. Each is asked when all that follows from what those before it said is over."""
        known = self._subscriptions.get(event.name, ())
        return chain.from_iterable(map(call, known, repeat(event), repeat(self.task)))

    def _announced(self, said: Announce, cause: int | None) -> Event[Payload]:
        event = self._events.event(said.event, {"task_id": self.task.id, **said.fields}, cause or self.task.sort_key)
        if said.event in self.task.announces:
            self.task.announce(event)
        return event

    def _publish(self, event: Event[Payload]) -> None:
        """Those who listen hear of a move before it, of it, and after it. They hear all of it when all is applied."""
        moved = event.payload
        if not isinstance(moved, TaskTransitioned):
            self._published.append(event)
            return
        step = moved.step if isinstance(moved, StepTransitioned) else None
        fields = {name: getattr(moved, name) for name in ("task_id", "sort_key", "from_state", "to_state")}
        before, after = (
            self._events.event(f"{'task' if step is None else 'step'}.{when}_transition", around, event.cause)
            for around in [{**fields, "event": event.name, "step": step}]
            for when in ("before", "after")
        )
        self._published += (before, event, after)

    def _moved(self, wish: TransitionTo, cause: int | None) -> Event[Payload] | None:
        """Nothing is made of a move that nobody hears of."""
        thing = self.task if wish.step is None else self.task.steps[wish.step]
        old = thing.state
        row = move(self.task, wish, wish.actor or AUTOMATIC, cause if wish.cause is None else wish.cause)
        if self.observe is None and row.event not in self._subscriptions:
            return None
        fields: dict[str, Any] = {"task_id": self.task.id, "from_state": old, "to_state": wish.state}
        fields["sort_key"], fields["metadata"] = row.sort_key, {**row.metadata}
        if isinstance(thing, Step):
            fields["step"], fields["execution"] = thing.name, thing.execution
        return self._events.event(row.event, fields, row.sort_key)

    def _noted(self, said: Note, cause: int | None) -> Event[Payload]:
        row = note(self.task, said._replace(cause=cause) if said.cause is None else said)
        fields: dict[str, Any] = {"task_id": self.task.id, "sort_key": row.sort_key, "metadata": {**row.metadata}}
        if self._events.names_step(row.event):
            fields["step"] = said.step
        if said.content is not None and said.step is not None:
            fields["step"], fields["content"] = said.step, said.content
            fields["execution"] = self.task.steps[said.step].execution
            return self._events.custom(row.event, fields, row.sort_key)
        return self._events.event(row.event, fields, row.sort_key)

    def _keep(self, command: Command) -> Command:
        """Timers are part of the task, so that a snapshot has them."""
        if isinstance(command, StartTimer):
            self.task.journal.put(self.task.timers, command.timer.id, command.timer)
        elif isinstance(command, StopTimer):
            self.task.journal.drop(self.task.timers, command.timer)
        return command

    def _tell(self, observe: Observer) -> None:
        published, self._published = self._published, []
        for event in published:
            observe(event)


SAYS: Final[Mapping[type, Callable[..., Event[Payload] | None]]] = {
    TransitionTo: Engine._moved,
    Note: Engine._noted,
    Announce: Engine._announced,
}
"""How an event is made of what is said. All else that a subscriber yields is a command."""
