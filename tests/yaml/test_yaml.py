"""A template in YAML is the same template: same words, same digest, and every mistake has its place."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from tasker_temporal.core.retry import Retry
from tasker_temporal.core.template import Argument, Limits, StepTemplate, Template
from tasker_temporal.durations import duration_text, parse_duration
from tasker_temporal.yaml import read_template, write_template
from tests.yaml.strategies import durations, templates

MODEST = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@MODEST
@given(templates())
def test_a_template_keeps_its_digest_on_its_way_through_yaml(template: Template) -> None:
    text = write_template(template)
    again = read_template(text)
    assert again == template
    assert again.digest == template.digest
    assert write_template(again) == text


ORDER = """\
name: shop.order
version: "2.0"
limits: {in_flight: 8}
hold_for: P2D
on_error: hold
steps:
  check:
  charge:
    takes: {order: context, price: check, coupon: {result_of: check, optional: true}}
    retry: {attempts: 5, base_delay: 250ms}
    timeout: 1h30m
    heartbeat_timeout: 45
    config: {on: yes, no: 010, sizes: [1, 1.5, 0x10, null, true]}
  ship:
    after: charge
    retryable: false
"""


def test_the_words_of_yaml_are_those_of_the_template() -> None:
    read = read_template(ORDER)
    assert read == Template(
        name="shop.order",
        version="2.0",
        limits=Limits(in_flight=8),
        hold_for=timedelta(days=2),
        on_error="hold",
        steps=(
            StepTemplate(name="check"),
            StepTemplate(
                name="charge",
                arguments=(
                    Argument(name="order"),
                    Argument(name="price", step="check"),
                    Argument(name="coupon", step="check", optional=True),
                ),
                retry=Retry(attempts=5, base_delay=timedelta(milliseconds=250)),
                timeout=timedelta(minutes=90),
                heartbeat_timeout=timedelta(seconds=45),
                config={"on": "yes", "no": 10, "sizes": [1, 1.5, 16, None, True]},
            ),
            StepTemplate(name="ship", after=("charge",), retryable=False),
        ),
    )


def test_an_anchor_spares_words() -> None:
    text = "name: shop.a\nsteps:\n  a: {retry: &patient {attempts: 9}}\n  b: {retry: *patient}\n"
    assert [step.retry.attempts for step in read_template(text).steps] == [9, 9]


@pytest.mark.parametrize("text", ["90s", "90", "1m30s", "1.5m", "PT1M30S", "PT90S", "0.025h", "90000ms"])
def test_a_duration_may_be_written_as_people_do(text: str) -> None:
    assert read_template(f"name: shop.a\nhold_for: {text}\n").hold_for == timedelta(seconds=90)


@given(durations)
def test_a_duration_is_read_as_it_was_written(duration: timedelta) -> None:
    assert parse_duration(duration_text(duration)) == duration
