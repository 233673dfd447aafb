"""Each check finds what it is for, where it is, and nothing in a template that is as it should be."""

from __future__ import annotations

import pytest

from examples.order_fulfillment.template import fulfill_order
from tasker_temporal.checks import CODES, Finding, check
from tasker_temporal.checks.comparing import compare
from tasker_temporal.yaml import read_template

HEAD = "name: shop.flow\nevents: {paid: }\nsteps:\n"
SIZE = "  size: {branches: [small, large], result: str}\n"
EACH = "  few: {on: {chosen: size, branch: small}}\n  many: {on: {chosen: size, branch: large}}\n"
WAIT = "awaits: event, on: {received: paid}"

FOUND: list[tuple[str, str, str, str]] = [
    ("TT-C001", "  a: {on: {all_of: [{completed: b}, {failed: b}]}}\n  b:\n  c: {after: a}\n", "c", "it waits for a"),
    ("TT-C002", "  a: {on: {all_of: [{completed: b}, {failed: b}]}}\n  b:\n", "a", "all_of(completed(b), failed(b))"),
    ("TT-C002", "  b:\n  a: {on: {failed: b}, takes: {r: b}}\n", "a", "together with what it takes"),
    ("TT-C002", "  b: {branches: [x, y], result: str}\n"
     "  a: {on: {at_least: 2, of: [{chosen: b, branch: x}, {chosen: b, branch: y}]}}\n", "a", "at_least(2"),
    ("TT-C003", f"{SIZE}{EACH}  a: {{takes: {{f: few, m: many}}}}\n", "a", "of few, many never all run"),
    ("TT-C003", f"{SIZE}{EACH}  a: {{on: {{all_of: [{{completed: few}}, {{completed: many}}]}}}}\n", "a", "never all"),
    ("TT-C004", "  a: {when: 1 > 2}\n", "a", "'1 > 2' is always false"),
    ("TT-C005", "  a: {when: size('abc') == 3}\n", "a", "is always true"),
    ("TT-C010", "  a: {timeout: 1m, deadline: 30s}\n", "a", "deadline of 30s is over before one attempt of up to 1m"),
    ("TT-C011", "  a: {timeout: 1s, deadline: 10s, retry: {attempts: 9, jitter: none}}\n", "a", "9 attempts 3 begin"),
    ("TT-C012", "  a: {retryable: false, retry: {attempts: 5}}\n", "a", "retry is never used"),
    ("TT-C013", "  a: {retry: {base_delay: 1m}}\n", "a", "base_delay 1m is longer than max_delay 30s"),
    ("TT-C014", f"  a: {{{WAIT}}}\n", "a", "without a deadline"),
    ("TT-C014", "  a: {awaits: approval, approval: {approvers: ann}}\n", "a", "waits for people"),
    ("TT-C015", f"  a: {{{WAIT}, on_deadline: skip}}\n", "a", "on_deadline has no effect"),
    ("TT-C015", "  a:\nhold_for: 3d\n", "", "hold_for has no effect"),
    ("TT-C015", "  a:\nmax_concurrency: 100\n", "", "max_concurrency 100 has no effect"),
    ("TT-C020", "  a:\nlimits: {in_flight: 2001}\n", "", "2000 activities"),
    ("TT-C020", "  a:\nlimits: {drain_events: 51000}\n", "", "51200 events"),
    ("TT-C020", "  a:\nlimits: {drain_bytes: 60000000}\n", "", "52428800 bytes"),
    ("TT-C021", f"  a:\ndescription: {'x' * 11_000_000}\n", "", "bytes: it travels with each task"),
    ("TT-C022", f"  a: {{config: {{x: {'x' * 2_100_000}}}}}\n", "a", "its config has 2100008 bytes"),
    ("TT-C023", "  a:\n  b:\nlimits: {drain_events: 10}\n", "", "18 history events"),
    ("TT-C024", "  a: {retry: {attempts: 1000}}\n", "a", "11000 history events"),
    ("TT-C025", "".join(f"  s{n}:\n" for n in range(5)) + "limits: {in_flight: 4}\n", "", "5 steps could run at once"),
    ("TT-C026", "".join(f"  s{n}:\n" for n in range(33)) + "  a: {takes: {"
     + ", ".join(f"p{n}: s{n}" for n in range(33)) + "}}\n", "a", "takes 33 results"),
    ("TT-C030", "  a:\n", "", "event 'paid' is declared"),
    ("TT-C031", f"{SIZE}  few: {{on: {{chosen: size, branch: small}}}}\n", "size", "its branch 'large'"),
    ("TT-C032", "  a: {result: int}\n  b: {after: a}\n", "a", "returns int, which no step takes"),
    ("TT-C033", "  a:\n  b:\n", "b", "one of 2 last steps"),
    ("TT-C034", "  a:\n  b: {takes: {r: a}, after: a}\n", "b", "it takes the result of 'a'"),
    ("TT-C036", "  a: {formerly: b}\n  b:\n", "a", "its former name 'b'"),
]  # fmt: skip


def found(text: str) -> list[Finding]:
    return check(read_template(text))


@pytest.mark.parametrize(("code", "steps", "step", "said"), FOUND, ids=[f"{case[0]} {case[3]}" for case in FOUND])
def test_a_check_finds_it(code: str, steps: str, step: str, said: str) -> None:
    text = HEAD + steps
    if len(text) > 4_000_000:
        template = read_template(HEAD + "  a:\n").model_copy(update={"description": "x" * 11_000_000})
        findings = check(template)
    else:
        findings = found(text)
    wanted = [each for each in findings if each.code == code and each.step == step]
    assert wanted, findings
    assert said in wanted[0].message


def test_a_template_without_steps_is_told() -> None:
    assert [each.code for each in found("name: shop.flow\n")] == ["TT-C035"]


FINE = [
    f"{SIZE}{EACH}  a: {{takes: {{f: {{step: few, optional: true}}, m: {{step: many, optional: true}}}}}}\n",
    f"{SIZE}{EACH}  a: {{on: {{any_of: [{{completed: few}}, {{completed: many}}]}}}}\n",
    f"{SIZE}{EACH}  a: {{after: [few, many]}}\n".replace("result: str", "result: 'list[str]'"),
    f"{SIZE}{EACH}  a: {{takes: {{f: few, m: many}}}}\n".replace("result: str", "result: 'list[str]'"),
    "  b:\n  a: {on: {failed: b}, takes: {why: {failure_of: b}}}\n  c: {on: {skipped: a}}\n",
    "  b:\n  a: {on: {failed: b}}\n  c: {on: {any_of: [{completed: a}, {completed: b}]}}\n",
    "  b:\n  c: {when: context.x}\n  a: {on: {all_of: [{skipped: c}, {ended: b}]}}\n",
    f"  w: {{{WAIT}, deadline: 1h, on_deadline: skip}}\n  a: {{on: {{skipped: w}}}}\n",
]


@pytest.mark.parametrize("steps", FINE)
def test_what_can_run_is_not_said_to_be_unreachable(steps: str) -> None:
    assert [each for each in found(HEAD + steps) if each.severity == "error"] == []


def test_a_template_as_it_should_be_has_neither_errors_nor_warnings() -> None:
    assert {each.severity for each in check(fulfill_order)} <= {"info"}


def test_the_worst_comes_first_and_then_the_order_of_the_steps() -> None:
    text = HEAD + "  c: {formerly: b}\n  b: {formerly: c}\n  a: {retryable: false, retry: {attempts: 5}}\n"
    told = [(each.severity, each.step) for each in found(text)]
    assert told[:4] == [("error", "c"), ("error", "b"), ("warning", ""), ("warning", "a")]


def test_a_graph_of_thousands_of_steps_is_checked_at_once() -> None:
    chain = "".join(f"  s{n}: {{after: s{n - 1}}}\n" if n else "  s0:\n" for n in range(3000))
    assert [each.code for each in found(HEAD + chain)] == ["TT-C030", "TT-C023"]


def test_a_step_with_too_many_ways_is_not_claimed_to_be_unreachable() -> None:
    decisions = "".join(f"  d{n}: {{branches: [x, y], result: str}}\n" for n in range(13))
    chosen = ", ".join(f"{{chosen: d{n}, branch: {'xy'[n % 2]}}}" for n in range(13))
    both = "{chosen: d0, branch: x}, {chosen: d0, branch: y}"
    errors = [
        each for each in found(f"{HEAD}{decisions}  a: {{on: {{all_of: [{chosen}]}}}}\n") if each.severity == "error"
    ]
    assert errors == []
    impossible = f"{HEAD}{decisions}  a: {{on: {{all_of: [{chosen}, {both}]}}}}\n"
    assert [each for each in found(impossible) if each.severity == "error"] == []


OLD = """\
name: shop.order
steps:
  check: {result: int}
  charge: {takes: {order: context, amount: check}, retry: {attempts: 3}, result: str}
  notify: {after: charge}
  pay: {on: {all_of: [{completed: check}, {elapsed: 1h}]}}
"""
NEW = """\
name: shop.order
steps:
  verify: {formerly: check, result: Decimal}
  charge: {takes: {order: context, amount: verify, coupon: verify}, retry: {attempts: 9}, result: str}
  ship: {after: charge}
  pay: {on: {all_of: [{completed: verify}, {elapsed: 1h}]}}
"""


def test_an_edit_is_told_step_by_step() -> None:
    made = compare(read_template(OLD), read_template(NEW))
    told = [(change.step, change.what, change.field) for change in made.changes]
    assert told == [
        ("verify", "renamed", "name"),
        ("verify", "changed", "result"),
        ("charge", "changed", "arguments"),
        ("charge", "changed", "retry.attempts"),
        ("ship", "added", ""),
        ("notify", "removed", ""),
    ]
    assert (made.same, made.needed) == (False, ("shop.order.notify",))


def test_an_edit_says_what_running_tasks_need() -> None:
    made = compare(read_template(OLD), read_template(NEW))
    assert {(each.code, each.step) for each in made.findings} == {
        ("TT-C050", "notify"),
        ("TT-C051", "charge"),
        ("TT-C052", "verify"),
        ("TT-C053", ""),
    }
    assert "now takes coupon" in next(each.message for each in made.findings if each.code == "TT-C051")


def test_no_edit_is_no_difference() -> None:
    made = compare(read_template(OLD), read_template(OLD))
    assert (made.same, made.changes, made.needed, made.findings) == (True, (), (), ())


def test_steps_in_another_order_are_a_difference() -> None:
    swapped = OLD.replace("  notify: {after: charge}\n", "") + "  notify: {after: charge}\n"
    [change] = compare(read_template(OLD), read_template(swapped)).changes
    assert change.field == "order of steps"


def test_another_name_leaves_every_handler_to_running_tasks() -> None:
    made = compare(read_template(OLD), read_template(OLD.replace("shop.order", "shop.sale")))
    assert made.needed == tuple(f"shop.order.{step}" for step in ("check", "charge", "notify", "pay"))
    assert [each.code for each in made.findings] == ["TT-C054"]


def test_an_event_that_running_tasks_wait_for_is_not_taken_out_unseen() -> None:
    waits = "steps: {a: {awaits: event, on: {received: paid}}, b: {on: {received: sent}}}"
    old = f"name: shop.order\nevents: {{paid: {{model: Paid}}, sent: , unused: }}\n{waits}\n"
    new = "name: shop.order\nversion: '2'\nevents: {paid: {model: Payment}, more: }\nsteps: {a: , b: }\n"
    made = compare(read_template(old), read_template(new))
    assert [(each.code, each.field) for each in made.findings] == [("TT-C056", "events"), ("TT-C055", "events")]
    assert "event 'paid' was Paid and is Payment now" in made.findings[0].message
    assert "event 'sent' is gone" in made.findings[1].message


def test_every_code_of_a_check_is_found_by_some_test() -> None:
    tested = {case[0] for case in FOUND} | {"TT-C035", *(f"TT-C{number:03}" for number in range(50, 57))}
    assert set(CODES) - tested == set()
