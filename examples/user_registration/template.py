"""A registration that branches by plan, and calls two HTTP services that are not always well."""

import json
import os
from datetime import timedelta
from http.client import HTTPResponse
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pydantic import BaseModel

from tasker_temporal import PermanentError, Retry, RetryableError, StepContext, TaskTemplate, chosen, result_of

BUSY = {429, 502, 503, 504}
"""What a service says that may be well in a moment."""


class Registration(BaseModel):
    email: str
    plan: Literal["free", "team", "enterprise"]
    card: str = ""


register = TaskTemplate("site.register_user", context=Registration, task_queue="registrations")
CALLS = Retry(attempts=6, base_delay=timedelta(milliseconds=50))


def post(path: str, asked: dict[str, Any], key: str) -> dict[str, Any]:
    """Call a service, and translate its refusals: come back later, or never."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = Request(os.environ["SERVICES"] + path, json.dumps(asked).encode(), headers)
    try:
        response: HTTPResponse
        with urlopen(request, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except HTTPError as error:
        said = json.load(error).get("error", error.reason)
        if error.code in BUSY:
            raise RetryableError(said, retry_after=error.headers["Retry-After"]) from error
        raise PermanentError(said) from error


@register.step(retry=CALLS)
def create_account(asked: Registration, told: StepContext) -> str:
    account: str = post("/accounts", {"email": asked.email}, told.idempotency_key)["account"]
    return account


@register.decision(branches=["free", "paid", "by_hand"], after=[create_account])
def choose_plan(asked: Registration) -> Literal["free", "paid", "by_hand"]:
    plans: dict[str, Literal["free", "paid", "by_hand"]] = {"free": "free", "team": "paid", "enterprise": "by_hand"}
    return plans[asked.plan]


@register.step(on=chosen(choose_plan, "free"))
def start_trial(account: str = result_of(create_account)) -> str:
    return f"trial of {account}"


@register.step(on=chosen(choose_plan, "paid"), retry=CALLS)
def subscribe(asked: Registration, told: StepContext, account: str = result_of(create_account)) -> str:
    ordered = {"email": asked.email, "account": account, "plan": asked.plan, "card": asked.card}
    subscription: str = post("/subscriptions", ordered, told.idempotency_key)["subscription"]
    return subscription


@register.step(on=chosen(choose_plan, "by_hand"))
def call_sales(asked: Registration) -> str:
    return f"sales calls {asked.email}"


@register.step
def welcome(
    trial: str | None = result_of(start_trial),
    paid: str | None = result_of(subscribe),
    call: str | None = result_of(call_sales),
) -> str:
    """Joins the branches: it runs once those that were taken are over."""
    return f"welcome: {trial or paid or call}"
