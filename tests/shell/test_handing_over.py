"""What a handler is handed: the payload as it was sent, decoded once, and with its own types."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from tasker_temporal import TaskTemplate, result_of, start_task
from tests.server.conftest import Connect, replayed, worker


class Strict(BaseModel):
    """JSON has no datetimes and no tuples, so this is valid only if it is read from the JSON text itself."""

    model_config = ConfigDict(strict=True)

    at: datetime
    sizes: tuple[int, ...]


strict = TaskTemplate("handing.strict", context=Strict)


@strict.step
async def first(context: Strict) -> Strict:
    return context.model_copy(update={"sizes": (*context.sizes, 3)})


@strict.step
async def second(given: Strict = result_of(first)) -> int:
    return sum(given.sizes)


async def test_strict_models_are_read_from_json_by_every_handler(client: Connect) -> None:
    connected = await client(strict)
    context = Strict(at=datetime.now(UTC), sizes=(1, 2))
    async with worker(connected) as running:
        task = await start_task(connected, strict, context, task_queue=running.task_queue)
        assert (await task.result()).state == "complete"
        assert await task.result_of(second) == 6
    await replayed(task, strict)
