"""The published JSON Schema says the same as the reader, as far as a schema can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tasker_temporal.core.template import Template
from tasker_temporal.durations import duration_text
from tasker_temporal.yaml import write_template
from tasker_temporal.yaml.schema import json_schema, published_schema, schema_text
from tests.yaml.strategies import durations, templates
from tests.yaml.test_mistakes import WRONG
from tests.yaml.test_yaml import ORDER

SCHEMA = Draft202012Validator(json_schema())
ROOT = Path(__file__).parents[2]


def load(text: str) -> Any:
    """As an editor reads it."""
    return YAML(typ="safe", pure=True).load(text)


def test_what_is_published_is_made_of_the_models() -> None:
    assert published_schema() == schema_text(), "run: python -m tests.yaml.publish"
    Draft202012Validator.check_schema(json.loads(published_schema()))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(templates())
def test_every_template_that_is_written_fits_the_schema(template: Template) -> None:
    assert list(SCHEMA.iter_errors(load(write_template(template)))) == []


def test_what_people_write_fits_the_schema() -> None:
    examples = [ORDER, *(file.read_text() for file in ROOT.glob("examples/**/*.yaml"))]
    for text in examples:
        assert list(SCHEMA.iter_errors(load(text))) == []


SEEN = ("TT-Y010", "TT-Y011", "TT-Y012", "TT-Y013", "TT-Y014")
"""What a schema can see."""
UNSEEN = ("'timeout' of step 'a' is 0s", ".nan is no number")
SHOWN = {f"{code} {said}": text for code, _, text, said in WRONG if code in SEEN and not said.startswith(UNSEEN)}


@pytest.mark.parametrize("text", SHOWN.values(), ids=SHOWN)
def test_what_the_reader_refuses_the_schema_refuses(text: str) -> None:
    assert not SCHEMA.is_valid(load(text))


@given(durations)
def test_the_schema_knows_every_duration_that_is_written(duration: Any) -> None:
    text = duration_text(duration)
    assert SCHEMA.is_valid({"name": "shop.a", "hold_for": text}), text
