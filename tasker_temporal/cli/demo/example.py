"""Finds the example: beside the package in a clone, inside it in an installed wheel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tasker_temporal
from tasker_temporal.cli.app import load_app
from tasker_temporal.cli.process import WrongUse
from tasker_temporal.declare import TaskTemplate

NAME = "order_fulfillment"
APP, TEMPLATE = f"{NAME}.template:fulfill_order", "shop.fulfill_order"


def examples_folder() -> Path:
    """The folder that holds the examples.

    Raises:
        WrongUse: it is missing from this installation.
    """
    package = Path(tasker_temporal.__file__).parent
    for folder in (package / "examples", package.parent / "examples"):
        if (folder / NAME / "orders.jsonl").is_file():
            return folder
    raise WrongUse("the example is missing from this installation: install tasker-temporal again, or run from a clone")


def load_example() -> tuple[Path, TaskTemplate[Any], list[dict[str, Any]]]:
    """The example's folder, its template, and its orders as they came."""
    examples = examples_folder()
    template = load_app(APP, examples).template(TEMPLATE)
    with (examples / NAME / "orders.jsonl").open(encoding="utf-8") as lines:
        return examples / NAME, template, [json.loads(line) for line in lines]
