"""Conditions: what is refused when a template is built, and what is said of data."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from cel_expr_python import cel  # type: ignore[import-untyped]

from tasker_temporal.core import conditions
from tasker_temporal.core.conditions import LENGTH_LIMIT, ZONED, Kind, decoded, holds, mistakes, reads
from tasker_temporal.core.soundness import unsound
from tasker_temporal.errors import ConditionError, ConditionsUnavailable
from tests.core.driving import step, template

KNOWN: dict[str, Kind] = {
    "context.total": "number",
    "context.name": "string",
    "context.vip": "bool",
    "context.lines": "list",
    "context.more": "any",
    "result.cart.ok": "bool",
    "result.a-b": "any",
    "result.free": "any",
}


@pytest.mark.parametrize(
    "expression",
    [
        "context.total > 1000 && result.cart.ok",
        "context.total > 1.5 || context.total == 2",
        "context.vip",
        "result.cart != null && result.cart.ok",
        "has(context.total)",
        "has(context.total) && !has(result.cart.ok) && context.name == 'has(context.x)'",
        "'total' in context",
        "result['a-b'].x == 1",
        "result.free.whatever[0].deep == 'x'",
        "context.lines.filter(l, l.price > 10).size() > 2",
        "context.lines.map(l, l.price).exists(p, p > 10)",
        "context.lines.all(l, l.price > context.total)",
        "context.name.startsWith('.map(')",
        "context.name.matches('^a+$')",
        "timestamp(context.name) > timestamp('2026-01-01T00:00:00Z')",
        "(timestamp(context.name) + duration('2h')).getHours() > 9",
        "context.lines.filter(l, l > 1)[0] == 2",
        "context.more.map(k, k) == ['a']",
        "context.more.deep.down == 1",
        "has(context.vip) // has (",
    ],
)
def test_a_sound_condition_has_no_mistakes(expression: str) -> None:
    assert mistakes(expression, KNOWN) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("context.total >", "it cannot be read: it ends too early"),
        ("(context.total > 1", "it cannot be read: it ends too early"),
        ("context.total > 1 and true", "it cannot be read from 'and true' on; CEL writes && for and"),
        ("not context.ok", "it cannot be read from 'context.ok' on; CEL writes ! for not"),
        ("context.total = 1", "it cannot be read from '= 1' on; CEL writes == for ="),
        ("context.total > 1 &&\n context.name 'long enough to be cut off'", 'read from "\'long enough to be c" on'),
        ("unknown == 1", "undeclared reference to 'unknown': expected one of ['context', 'result.a-b'"),
        ("now() > 1", "undeclared reference to 'now'"),
        ("result.car.ok", "undeclared reference to 'result.car.ok': expected one of"),
        ("result['car'].ok", "it names 'result.car': expected one of"),
        ("event.x == 1", "undeclared reference to 'event.x'"),
        ("context.totl > 1", "there is no context.totl: expected one of ['context.lines', 'context.more'"),
        ("context.lines.all(l, l > context.totl)", "there is no context.totl"),
        ("context.total > 'a'", "found no matching overload for '_>_' applied to '(int, string)'"),
        ("context.name == 1", "found no matching overload for '_==_' applied to '(string, int)'"),
        ("context.name && true", "found no matching overload for '_&&_' applied to '(string, bool)'"),
        ("1 + 'a' == 2", "found no matching overload for '_+_' applied to '(int, string)'"),
        ("context.name", "it is a string: expected true or false"),
        ("context.total", "it is a number: expected true or false"),
        ("'yes'", "it is a string: expected true or false"),
        ("timestamp(context.name).getHours('Europe/Berlin') > 9", "getHours is asked for a time zone"),
        ("context.more.getDayOfWeek(context.name) == 1", "getDayOfWeek is asked for a time zone"),
        ("context.name.getHours() > 9", "found no matching overload for 'getHours' applied to '(string)'"),
        ("ordered(context.more) == []", "undeclared reference to 'ordered'"),
        ("[" * 40 + "]" * 40 + " == []", "Expression recursion limit exceeded"),
        ("true" + " || true" * LENGTH_LIMIT, f"characters: at most {LENGTH_LIMIT} are evaluated"),
    ],
)
def test_a_mistake_is_told_when_the_template_is_built(expression: str, said: str) -> None:
    assert said in " ".join(mistakes(expression, KNOWN))


@pytest.mark.parametrize("expression", ["", " \n"])
def test_an_empty_condition_is_no_condition(expression: str) -> None:
    assert mistakes(expression, KNOWN) == ["it is empty: expected an expression that is true or false"]


def test_where_the_library_is_missing_a_condition_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    conditions._cel.cache_clear()
    assert unsound(template(step("a"))) == []
    with pytest.raises(ConditionsUnavailable, match=r"^conditions need the package cel-expr-python, .*: import of cel"):
        unsound(template(step("a", when="context.vip")))


def test_a_mistake_is_told_once() -> None:
    assert mistakes("context.total > 'a'", KNOWN) == ["found no matching overload for '_>_' applied to '(int, string)'"]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [("context.a > 1", "Key not found"), ("context", "expected true or false"), ("nobody", "undeclared reference")],
)
def test_what_has_no_answer_is_an_error_and_not_no(expression: str, problem: str) -> None:
    with pytest.raises(ConditionError, match=problem) as raised:
        holds(expression, {"context": {}})
    assert raised.value.expression == expression


@pytest.mark.parametrize("part", sorted(ZONED))
def test_no_part_of_a_time_is_asked_of_a_zone(part: str) -> None:
    """What the library offers with a zone is looked up in the tables of the machine, `UTC` and offsets aside."""
    assert mistakes(f"timestamp(context.name).{part}() == 1", KNOWN) == []
    for zone in ("'Europe/Berlin'", "'localtime'", "'UTC'", "context.name"):
        (mistake,) = mistakes(f"timestamp(context.name).{part}({zone}) == 1", KNOWN)
        assert mistake.startswith(f"{part} is asked for a time zone")


def test_every_function_that_takes_a_zone_is_known() -> None:
    """The environment as it comes has all of them, and no other function is asked for a zone in the same way."""
    environment = cel.NewEnv(variables={"t": cel.Type.TIMESTAMP})
    for part, overload in ZONED.items():
        assert overload.encode() in environment.compile(f"t.{part}('UTC') == 1").serialize()


MAP = {f"k{number}": number for number in range(300)}
KEYS = sorted(MAP)


@pytest.mark.parametrize(
    "expression",
    [
        "context.map(k, k) == result",
        "context.filter(k, k != 'k7').map(k, k)[7] == result[7]",
        "[context][0].map(k, k) == result",
        "{'b': 1, 'a': 2}.map(k, k) == ['a', 'b']",
        "[1, 2].exists(n, n == 2 && context.map(k, k) == result)",
        "{'x': context}.x.map(k, k) == result ? context.map(k, k)[0] == 'k0' : false",
    ],
)
def test_a_loop_over_a_map_takes_its_keys_in_order(expression: str) -> None:
    assert holds(expression, {"context": MAP, "result": KEYS})


def test_what_a_loop_over_a_map_meets_first_is_the_same_everywhere() -> None:
    """The budget is 10,000 turns: a key that comes late is never found, and one that comes early always is."""
    many = {f"{number:06}": number for number in range(20_000)}
    assert holds("context.exists(k, k == '000500')", {"context": many})
    with pytest.raises(ConditionError, match="Iteration budget exceeded"):
        holds("context.exists(k, k == '019500')", {"context": many})
    with pytest.raises(ConditionError, match='Key not found in map : "k0"'):
        holds("context.all(k, result[k])", {"context": MAP, "result": {}})


@pytest.mark.parametrize(
    "expression",
    [
        "[timestamp(context)].exists(t, t.getFullYear() == 2026)",
        "[duration('1h')].map(d, d + d).all(d, d > duration('1h'))",
        "([duration('1h')] + [duration('2h')]).exists(d, d == duration('2h'))",
        "[1u, 2u].all(n, n > 0u) && [type(1)].all(t, t == int) && [b'x'].all(b, b == b'x')",
        "[1.5, -7, 9223372036854775807].exists(n, n == 1.5) && [null].all(n, n == null)",
    ],
)
def test_a_loop_over_a_list_meets_what_is_in_it(expression: str) -> None:
    assert holds(expression, {"context": "2026-01-01T00:00:00Z"})


def test_a_loop_over_what_has_no_elements_is_an_error_that_names_no_place_in_memory() -> None:
    with pytest.raises(ConditionError, match=r"No matching overloads found : loop over \(int64\)$"):
        holds("context.exists(k, true)", {"context": 1})
    with pytest.raises(ConditionError, match="'Python function 'loop over'"):
        holds("[[duration('1h')]].all(l, l.all(d, true))", {})


def test_numbers_are_compared_whatever_json_makes_of_them() -> None:
    for total in (1500, 1500.0):
        assert holds(
            "context.total > 1000 && context.total == 1500 && context.total < 1500.5", {"context": {"total": total}}
        )


def test_what_a_condition_reads_is_told_by_its_names() -> None:
    assert reads("context.total > 1", "context")
    assert not reads("contexts > 1", "context")
    assert reads("result.cart.ok", "result.cart")
    assert reads("result['a-b'].ok", "result.a-b")
    assert not reads("result.carts.ok", "result.cart")


def test_no_data_is_null_and_what_is_not_json_is_an_error() -> None:
    assert decoded("e", "result.a", b"") is None
    with pytest.raises(ConditionError, match=r"'e' cannot be evaluated: result\.a is not JSON"):
        decoded("e", "result.a", b"\xff")


# Where conditions stand in a template, and what each may name.

ORDER: dict[str, Any] = {
    "properties": {
        "total": {"type": "number"},
        "address": {"$ref": "#/$defs/Address"},
        "any": {},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "open": {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": True},
    },
    "$defs": {"Address": {"properties": {"city": {"type": "string"}, "home": {"$ref": "#/$defs/Address"}}}},
}
PAID = {"properties": {"amount": {"type": "integer"}}}
SCHEMAS = {"context": ORDER, "result.cart": {"properties": {"ok": {"type": "boolean"}}}, "event.paid": PAID}


def told(*steps: Any, **options: Any) -> list[str]:
    made = template(*steps, events=[{"name": "paid"}, {"name": "other"}], **options)
    return unsound(made, lambda path: SCHEMAS.get(path, {}))


@pytest.mark.parametrize(
    "when",
    [
        "context.total > 10 && context.address.city == 'x'",
        "context.address.home.home.home.home.home == null",
        "context.any.thing == 1 && context.maybe.size() > 1 && context.open.x == 1",
        "result.cart.ok && result.other.thing",
    ],
)
def test_fields_are_known_from_the_models(when: str) -> None:
    assert told(step("cart"), step("other"), step("t", when=when, after=["cart", "other"])) == []


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([step("t", when="context.totl > 1")], "step 't': its condition 'context.totl > 1': there is no context.totl"),
        ([step("t", when="context.address.town == ''")], "there is no context.address.town"),
        ([step("a"), step("t", when="result.a")], "undeclared reference to 'result.a'"),
        ([step("t", when="event.amount > 1", on={"received": "paid"})], ""),
        ([step("t", when="event.sum > 1", on={"received": "paid"})], "there is no event.sum"),
        (
            [step("t", when="event > 1", on={"any_of": [{"received": "paid"}, {"received": "other"}]})],
            "undeclared reference to 'event'",
        ),
        ([step("t", on={"received": "paid", "match": "event.amount == context.total"})], ""),
        ([step("t", on={"received": "paid", "match": "event.sum == 1"})], "its match 'event.sum == 1': there is no"),
        ([step("t", on={"received": "paid", "match": "result.a"})], "undeclared reference to 'result.a'"),
        ([step("a"), step("t", on={"failed": "a"}, when="failure.a.type == 'Declined'")], ""),
        ([step("a"), step("t", on={"failed": "a"}, when="failure.a.kind == 1")], "there is no failure.a.kind"),
        ([step("a"), step("t", on={"skipped": "a"}, when="failure.a.type == ''")], "undeclared reference to 'failure"),
    ],
)
def test_what_a_condition_may_name(steps: Any, said: str) -> None:
    found = told(*steps)
    assert found == [] if not said else said in found[0]


def test_a_route_may_name_the_context_alone() -> None:
    assert told(step("a"), routes=[{"when": "context.total > 10"}]) == []
    (mistake,) = told(step("a"), routes=[{"when": "true"}, {"when": "result.a"}])
    assert mistake.startswith("route 2: its condition 'result.a': undeclared reference to 'result.a'")
    assert told(step("a"), routes=[{"when": "context.totl > 1", "name": "large"}])[0].startswith("route 'large': ")
