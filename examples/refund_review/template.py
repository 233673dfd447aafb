"""Refunds that people approve: two of three, within a day, or their boss. Whoever must decide is told by a webhook."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from datetime import timedelta

from pydantic import BaseModel

from tasker_temporal import ApprovalNotice, PermanentError, Retry, TaskTemplate, result_of

WEBHOOK = "REFUND_WEBHOOK"
"""The environment variable that names where notices are posted to."""


class Refund(BaseModel):
    order: str
    customer: str
    euros: int


class Verdict(BaseModel):
    """The form that an approver fills in."""

    euros: int
    note: str = ""


def post(notice: ApprovalNotice) -> None:
    """Send the notice as JSON to the webhook. What it raises is tried again; the task goes on meanwhile."""
    url = os.environ.get(WEBHOOK)
    if url is None:
        raise PermanentError(f"nobody is told of {notice.approval}: {WEBHOOK} is not set")
    body = json.dumps(notice.model_dump(mode="json")).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


review_refund = TaskTemplate("shop.review_refund", context=Refund, task_queue="refunds")


@review_refund.step
def assess(refund: Refund) -> str:
    """A suggestion to those who decide."""
    return "small" if refund.euros < 100 else "large"


fraud_review = review_refund.approval(
    "fraud_review",
    after=[assess],
    form=Verdict,
    approvers=["ann", "bob", "cid"],
    quorum=2,
    deadline=timedelta(days=1),
    on_deadline="escalate",
    escalate_to=["dora"],
    notify=post,
    description="Is this refund honest?",
)


@review_refund.step(retry=Retry(attempts=5))
async def pay_back(refund: Refund, verdict: Verdict = result_of(fraud_review)) -> int:
    """What is paid is what the verdict says, and never more than was asked for."""
    await asyncio.sleep(0)
    return min(verdict.euros, refund.euros)
