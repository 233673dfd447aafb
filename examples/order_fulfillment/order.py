"""The template in `order.yaml`, with the handlers of `template.py`. `app` is what `tasker worker --app` takes."""

from __future__ import annotations

from pathlib import Path

from examples.order_fulfillment import template
from tasker_temporal import TaskTemplate

app = TaskTemplate.from_yaml(Path(__file__).with_name("order.yaml"), handlers=template)
