"""Events of a template's own: declared with a name and a type, and checked where they are published."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload

from tasker_temporal import CustomEvent, EventRefused, StepContext, TaskTemplate
from tasker_temporal.core.messages import Published
from tasker_temporal.core.registry import Category
from tasker_temporal.errors import EventError, PermanentError
from tasker_temporal.published import BYTES_LIMIT, EVENTS_LIMIT, METADATA, Publications, detach, of_failure


class Priced(BaseModel):
    cents: int


def declared(**options: Any) -> tuple[TaskTemplate[Any], CustomEvent[Priced]]:
    template = TaskTemplate("events.shop")
    return template, template.custom_event("order.priced", Priced, **options)


def test_a_declared_event_has_a_line_like_the_librarys_own() -> None:
    template, priced = declared(description="The order has its price.", version=2)
    assert template.custom_events == [priced]
    definition = priced.definition
    assert (definition.name, definition.version, definition.category) == ("order.priced", 2, "custom")
    assert definition.content is not None
    assert definition.content["properties"]["cents"]["type"] == "integer"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("order.priced", "event 'order.priced' is registered twice"),
        ("priced", "expected dotted lower-case identifiers"),
        ("step.priced", "the namespace 'step' is the library's own"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_where_it_is_declared(name: str, complaint: str) -> None:
    template, _ = declared()
    with pytest.raises(EventError, match=complaint):
        template.custom_event(name, Priced)
    assert len(template.custom_events) == 1


def test_what_does_not_validate_is_refused_and_not_shown() -> None:
    _, priced = declared()
    with pytest.raises(EventRefused, match=r"event 'order\.priced': cents: Input should be a valid integer") as caught:
        StepContext().publish(priced, Priced.model_construct(cents="secret"))
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value, PermanentError)


def test_what_is_no_json_is_refused() -> None:
    odd = TaskTemplate("events.odd").custom_event("order.odd", complex)
    with pytest.raises(EventRefused, match=r"event 'order\.odd'"):
        odd.written(object())


def test_a_handler_that_a_test_calls_may_publish() -> None:
    _, priced = declared()
    StepContext().publish(priced, Priced(cents=1))


def published(*events: CustomEvent[Any]) -> Publications:
    return Publications(events, "events.shop")


def test_an_event_of_another_template_is_refused() -> None:
    _, priced = declared()
    with pytest.raises(EventRefused, match=r"none of template 'events\.shop', which has none"):
        published().publish(priced, Priced(cents=1))


def test_what_was_published_travels_beside_the_result_and_is_taken_from_it() -> None:
    _, priced = declared()
    said = published(priced)
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    assert said.attach(payload).metadata.keys() == {"encoding"}
    said.publish(priced, Priced(cents=1))
    said.publish(priced, Priced(cents=2))
    assert METADATA in said.attach(payload).metadata
    assert detach(payload) == (Published("order.priced", '{"cents":1}'), Published("order.priced", '{"cents":2}'))
    assert payload.metadata.keys() == {"encoding"}
    assert detach(payload) == ()


def test_what_was_published_travels_in_the_details_of_a_failure() -> None:
    _, priced = declared()
    said = published(priced)
    assert of_failure(said.detail()) == ()
    said.publish(priced, Priced(cents=1))
    assert of_failure(said.detail()) == (Published("order.priced", '{"cents":1}'),)


def test_an_attempt_cannot_publish_without_end() -> None:
    _, priced = declared()
    said = published(priced)
    for _ in range(EVENTS_LIMIT):
        said.publish(priced, Priced(cents=1))
    with pytest.raises(EventRefused, match="one attempt can publish 100 events"):
        said.publish(priced, Priced(cents=1))


def test_an_attempt_cannot_publish_more_than_fits_beside_its_outcome() -> None:
    text = TaskTemplate("events.text").custom_event("text.said", str)
    with pytest.raises(EventRefused, match=f"{BYTES_LIMIT} bytes in total"):
        published(text).publish(text, "x" * BYTES_LIMIT)


def test_an_event_for_those_who_measure_is_in_a_category_of_its_own() -> None:
    template = TaskTemplate[object]("shop.order")
    event = template.custom_event("order.looked_at", int, category="telemetry")
    assert event.definition.category is Category.TELEMETRY
    assert event.definition.content == {"type": "integer"}
    with pytest.raises(EventError, match="the namespace 'telemetry' is the library's own"):
        template.custom_event("telemetry.looked_at", int, category="telemetry")


def test_an_event_whose_type_has_no_schema_is_refused_in_a_sentence() -> None:
    class Odd: ...

    with pytest.raises(EventError, match=r"event 'order\.odd': <class .*Odd'> has no JSON Schema: expected a pydantic"):
        TaskTemplate[object]("shop.order").custom_event("order.odd", Odd)
