"""Plays three refunds: a small one, one that finance cuts down, and one that finance refuses."""

import asyncio

from temporalio.client import Client
from temporalio.worker import Worker

from examples.refund.template import Refund, Settled, Verdict, decline, refund, review, settled, tell_customer
from tasker_temporal import TaskerPlugin, TaskHandle, start_task
from tasker_temporal.dev import DevServer


async def begin(client: Client, order: str, cents: int) -> TaskHandle:
    return await start_task(client, refund, Refund(order=order, cents=cents, reason="broken"), actor="sue")


async def settle(task: TaskHandle, order: str) -> None:
    """The provider may tell it at any time: what comes early is kept."""
    await task.send_event(settled, Settled(order=order, arrived=True), id=f"settled {order}")


async def play(client: Client) -> None:
    small = await begin(client, "order-2", 900)
    large = await begin(client, "order-1", 11_000)
    strange = await begin(client, "order-3", 60_000)
    await settle(small, "order-2")
    await large.approve(review, Verdict(cents=6_000, note="half is used"), actor="fay", reason="photo shows it")
    await settle(large, "order-1")
    await strange.reject(review, actor="finn", reason="no photo")
    for task in (small, large):
        print((await task.result()).state, "-", await task.result_of(tell_customer))
    print((await strange.result()).state, "-", await strange.result_of(decline))


async def main() -> None:
    async with DevServer() as server:
        client = await server.client(plugins=[TaskerPlugin(refund)])
        async with Worker(client, task_queue="support"), Worker(client, task_queue="finance"):
            await play(client)


if __name__ == "__main__":
    asyncio.run(main())
