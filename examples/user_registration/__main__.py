"""Registers one user of each plan, and one whose card is declined."""

import asyncio
import os

from temporalio.client import Client
from temporalio.worker import Worker

from examples.user_registration.services import Services
from examples.user_registration.template import Registration, register, welcome
from tasker_temporal import TaskerPlugin, TaskFailed, start_task
from tasker_temporal.dev import DevServer

USERS = [
    Registration(email="ada@example.com", plan="free"),
    Registration(email="bob@example.com", plan="team", card="good"),
    Registration(email="cyd@example.com", plan="enterprise"),
    Registration(email="dan@example.com", plan="team", card="declined"),
]


async def play(client: Client) -> None:
    tasks = [await start_task(client, register, user) for user in USERS]
    for user, task in zip(USERS, tasks, strict=True):
        try:
            report = await task.result()
        except TaskFailed as failed:
            print(f"{user.email}: {failed}")
            continue
        skipped = [name for name, step in report.steps.items() if step.state == "skipped"]
        attempts = report.steps["create_account"].attempt
        print(f"{user.email}: {await task.result_of(welcome)} ({attempts} attempts; not {', '.join(skipped)})")


async def main() -> None:
    with Services().running() as address:
        os.environ["SERVICES"] = address
        async with DevServer() as server:
            client = await server.client(plugins=[TaskerPlugin(register)])
            async with Worker(client, task_queue="registrations"):
                await play(client)


if __name__ == "__main__":
    asyncio.run(main())
