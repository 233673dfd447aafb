"""One refund, from the request to the payment: `python -m examples.refund_review.main`."""

from __future__ import annotations

import asyncio
import os
import sys

from temporalio.worker import Worker

from examples.refund_review.receiver import Notice, line, receiving
from examples.refund_review.template import WEBHOOK, Refund, Verdict, fraud_review, pay_back, review_refund
from tasker_temporal import RequestRefused, TaskerPlugin, TaskHandle, start_task
from tasker_temporal.dev import DevServer


async def main() -> None:
    loop, opened = asyncio.get_running_loop(), asyncio.Event()

    def heard(notice: Notice) -> None:
        print(line(notice))
        loop.call_soon_threadsafe(opened.set)

    with receiving(heard) as url:
        os.environ[WEBHOOK] = url
        async with DevServer(ui_port=None) as server:
            client = await server.client(plugins=[TaskerPlugin(review_refund)])
            async with Worker(client, task_queue="refunds"):
                refund = Refund(order="1001", customer="Eve", euros=250)
                task = await start_task(client, review_refund, refund, id="refund-1001", actor="ann")
                await opened.wait()
                await decide(task)
                print((await task.result()).state, "-", await task.result_of(pay_back), "euros paid back")


async def decide(task: TaskHandle) -> None:
    """Who asked for a refund does not approve it; two others do."""
    try:
        await task.approve(fraud_review, Verdict(euros=250), actor="ann", reason="I know her")
    except RequestRefused as error:
        print("refused:", error.rule)
    await task.approve(fraud_review, Verdict(euros=250), actor="bob", reason="the parcel came back")
    await task.approve(fraud_review, Verdict(euros=200, note="worn"), actor="cid", reason="worn, less 50")


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)
