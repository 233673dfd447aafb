import asyncio

from pydantic import BaseModel
from temporalio.worker import Worker

from tasker_temporal import Retry, TaskerPlugin, TaskTemplate, result_of, start_task
from tasker_temporal.dev import DevServer


class Order(BaseModel):
    item: str
    cents: int


sell = TaskTemplate("shop.sell", context=Order, task_queue="shop")


@sell.step
def reserve(order: Order) -> str:
    return f"shelf of {order.item}s"


@sell.step(retry=Retry(attempts=5))
async def charge(order: Order) -> int:
    return order.cents


@sell.step
async def ship(shelf: str = result_of(reserve), paid: int = result_of(charge)) -> str:
    return f"sent from the {shelf}, {paid} cents paid"


async def main() -> None:
    async with DevServer() as server:
        client = await server.client(plugins=[TaskerPlugin(sell)])
        async with Worker(client, task_queue="shop"):
            task = await start_task(client, sell, Order(item="book", cents=2500))
            print((await task.result()).state, "-", await task.result_of(ship))


if __name__ == "__main__":
    asyncio.run(main())
