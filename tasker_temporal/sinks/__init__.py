"""Sends the rows of tasks elsewhere: typed events, handlers that send them, and the activity that calls these.

A template names its sinks (`Sink`) and what each gets; `TaskerPlugin(sinks={...})` says how each is reached.
"""

from tasker_temporal.core.template import Sink
from tasker_temporal.errors import PartlyTaken, WebhookRefused
from tasker_temporal.sinks.events import (
    Announced,
    EndedOutside,
    Noted,
    Published,
    Refused,
    RowData,
    StepMoved,
    TaskEvent,
    TaskMoved,
)
from tasker_temporal.sinks.handlers import SinkHandler
from tasker_temporal.sinks.json_lines import JsonLines
from tasker_temporal.sinks.postgres import Postgres
from tasker_temporal.sinks.resend import resend
from tasker_temporal.sinks.signature import verify_webhook
from tasker_temporal.sinks.webhook import Webhook

__all__ = [
    "Announced",
    "EndedOutside",
    "JsonLines",
    "Noted",
    "PartlyTaken",
    "Postgres",
    "Published",
    "Refused",
    "RowData",
    "Sink",
    "SinkHandler",
    "StepMoved",
    "TaskEvent",
    "TaskMoved",
    "Webhook",
    "WebhookRefused",
    "resend",
    "verify_webhook",
]
