"""What a sink gets: each row of a task's audit as a CloudEvent 1.0, its data typed by what kind of row it is.

Events that are no rows come between the rows, if the sink names them. The envelope's `id` names one for ever: sent
twice, it is the same. `sequence` is its number among those that this sink gets of this task, 1, 2, 3 … without a gap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag
from pydantic_core import to_json

from tasker_temporal.core.announcements import Announcement, Entry
from tasker_temporal.core.rows import TASK, Row, step_of
from tasker_temporal.core.template import Frozen
from tasker_temporal.wire import Batch, Told


class RowData(Frozen):
    """A row as `Row.plain` has it: the fields, their order and their bytes are those that its digest was made of."""

    sort_key: int
    kind: str
    entity: str
    from_state: str | None = Field(alias="from")
    to_state: str | None = Field(alias="to")
    event: str
    actor: str
    reason: str
    cause: int | None
    """The sort_key of the row that led to it; None for what came from outside."""
    metadata: Mapping[str, Any]
    at: str
    digest: str

    @property
    def step(self) -> str | None:
        """The step that it is about, None for the task itself."""
        return step_of(self.entity)

    @property
    def row(self) -> Row:
        return Row.of(self.model_dump(by_alias=True, exclude={"content"}))


class TaskMoved(RowData):
    """The task went from one state to another."""

    kind: Literal["transition"]
    entity: Literal["task"]
    to_state: str = Field(alias="to")


class StepMoved(RowData):
    """A step went from one state to another. `metadata` has its `attempt` and its `execution`, from the first on."""

    kind: Literal["transition"]
    to_state: str = Field(alias="to")

    @property
    def step(self) -> str:
        return self.entity.removeprefix("step:")


class Noted(RowData):
    """Something happened that moved nothing."""

    kind: Literal["noted"]


class Published(Noted):
    """A handler published an event of its template's own."""

    content: Any
    """What it says, as JSON: validate it with the model that the event was declared with."""


class Refused(RowData):
    """Somebody asked by signal for what is not legal."""

    kind: Literal["refused"]


class Announced(Frozen):
    """An event that is no row: of no part of the audit, and verified by no digest. A sink that gets it names it."""

    kind: Literal["announced"] = "announced"
    event: str
    after: int
    """The sort_key of the row that was the last when it was said."""
    place: int
    """Counted from 1 among those behind one row."""
    cause: int
    """The sort_key of the row that led to it."""
    at: str
    payload: Mapping[str, Any]
    """As `tasker events show` has it."""

    @property
    def step(self) -> str | None:
        """The step that it is about, None for the task itself."""
        return self.payload.get("step")


class EndedOutside(Frozen):
    """The run was terminated, timed out, or failed without a record. No row tells it: a sweeper found it."""

    kind: Literal["ended_outside"] = "ended_outside"
    run_id: str
    actor: str
    """The identity that terminated it; `temporal` for a timeout, `tasker` for what broke down."""
    reason: str


def _kind(data: Any) -> str:
    plain = data if isinstance(data, dict) else vars(data)
    if "content" in plain:
        return "published"
    kind = str(plain.get("kind"))
    return "task" if kind == "transition" and plain.get("entity") == TASK else kind


Data = Annotated[
    Annotated[TaskMoved, Tag("task")]
    | Annotated[StepMoved, Tag("transition")]
    | Annotated[Noted, Tag("noted")]
    | Annotated[Published, Tag("published")]
    | Annotated[Refused, Tag("refused")]
    | Annotated[Announced, Tag("announced")]
    | Annotated[EndedOutside, Tag("ended_outside")],
    Discriminator(_kind),
]


class TaskEvent(Frozen):
    """One CloudEvent. `match event.data:` tells the kinds of data apart."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    """`<task id>/<sort_key>/<the first digits of its digest>`: the same each time that it is sent. Of what is no row,
    `<sort_key of the row before it>.<its place behind that>` takes the sort_key's place."""
    source: str
    """`tasker://<namespace>/<template>`."""
    type: str
    """The event's name, as `step.failed`."""
    subject: str
    """The task's id."""
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    sequence: str
    """Ten digits: its number among those that this sink gets of this task."""
    sink: str
    templateversion: str
    templatedigest: str
    contextdigest: str
    """With the template's, what the chain of the task's rows begins with. It tells apart two tasks of one id."""
    data: Data

    @property
    def task_id(self) -> str:
        return self.subject

    @property
    def number(self) -> int:
        return int(self.sequence)

    @property
    def template(self) -> str:
        return self.source.rpartition("/")[2]

    def attributes(self) -> dict[str, str]:
        """Everything but the data, as text: the headers of the binary mode without their `ce-`."""
        plain = self.model_dump(mode="json", exclude={"data"})
        return {name: str(value) for name, value in plain.items()}

    def json_bytes(self) -> bytes:
        """The event in CloudEvents' JSON format, on one line."""
        return to_json(self.model_dump(mode="json", by_alias=True))

    def data_bytes(self) -> bytes:
        return to_json(self.data.model_dump(mode="json", by_alias=True))


def events_of(batch: Batch, told: Iterable[Told], namespace: str, number: int) -> Iterator[TaskEvent]:
    """What was told as events, the first of them with this number."""
    for position, (entry, content) in enumerate(told):
        at, data = datetime.fromisoformat(entry.at), _data(entry, content)
        place = f"{entry.sort_key}.{entry.place}" if isinstance(entry, Announcement) else entry.sort_key
        name = f"{batch.task_id}/{place}/{entry.digest[:12]}"
        yield _event(batch, namespace, number + position, name, entry.event, at, data)


def _data(entry: Entry, content: str | None) -> dict[str, Any]:
    if isinstance(entry, Row):
        return entry.plain() if content is None else entry.plain() | {"content": json.loads(content)}
    said = entry._asdict()
    del said["digest"]
    return {"kind": "announced", "after": said.pop("sort_key"), **said}


def end_of(batch: Batch, namespace: str, number: int) -> TaskEvent:
    """The one event that a dead run could not tell."""
    assert batch.ended is not None
    plain = dict(batch.ended)
    event, at = plain.pop("type"), datetime.fromisoformat(plain.pop("time"))
    data = {"kind": "ended_outside", **plain}
    return _event(batch, namespace, number, f"{batch.task_id}/{plain['run_id']}/{event}", event, at, data)


def _event(
    batch: Batch, namespace: str, number: int, id: str, type: str, at: datetime, data: Mapping[str, Any]
) -> TaskEvent:
    return TaskEvent(
        id=id,
        source=f"tasker://{namespace}/{batch.template}",
        type=type,
        subject=batch.task_id,
        time=at,
        sequence=f"{number:010}",
        sink=batch.sink,
        templateversion=batch.version,
        templatedigest=batch.template_digest,
        contextdigest=batch.context_digest,
        data=data,  # type: ignore[arg-type]
    )
