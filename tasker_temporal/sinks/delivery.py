"""`tasker.delivery`: a workflow that goes on sending what a task left, so that a dead sink holds no task open."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import RawValue

from tasker_temporal.deliveries import DELIVER, DELIVERY, how_to_send
from tasker_temporal.payloads import read_raw
from tasker_temporal.wire import Remainder


@workflow.defn(name=DELIVERY, sandboxed=False)
class Delivery:
    """Sends batches to one sink, one after the other, until it has taken them."""

    @workflow.run
    async def run(self, remainder: RawValue) -> None:
        rest = Remainder.model_validate(read_raw(remainder))
        for batch in rest.batches:
            options = how_to_send(rest.sink, batch)
            await workflow.execute_activity(DELIVER, activity_id=f"sink:{rest.sink.name}:{batch.number}", **options)
