"""What is wrong in a YAML file is told all at once: its line, its column, a code, what was expected, what was meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasker_temporal.errors import TemplateError, YamlError, YamlProblem
from tasker_temporal.yaml import read_template
from tasker_temporal.yaml.codes import CODES
from tasker_temporal.yaml.nodes import DEPTH_LIMIT, TEXT_LIMIT

BOMB = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
)
DEEP = "x: " + "[" * (DEPTH_LIMIT + 1) + "]" * (DEPTH_LIMIT + 1)

NAME = "name: shop.a\n"
STEPS = f"{NAME}steps:\n"
EVENTS = f"{NAME}events: {{paid: }}\nsteps:\n"

TYPE = (
    "name: shop.a\ntype:\n  name: large\n  rows:\n"
    "    - {{source: in_progress, to: error, when: {}}}\n    - {{source: in_progress, to: complete}}\n"
)

WRONG = [
    ("TT-Y002", "1:1", "", "it is empty"),
    ("TT-Y002", "2:2", "name: [a\nb: c", "it is not YAML"),
    ("TT-Y002", "1:7", "name: *x\n", "the alias *x names no anchor"),
    ("TT-Y002", "2:1", NAME + "---\nname: shop.b\n", "a second document begins"),
    ("TT-Y002", "2:1", "%YAML 1.1\n---\nname: shop.a\n", "another version of YAML: expected 1.2"),
    ("TT-Y002", "1:7", "name: \x00\n", "it is not YAML"),
    ("TT-Y003", "6:16", BOMB, "values, aliases expanded"),
    ("TT-Y003", "1:8", "a: &a [*a]\n", "the alias *a stands inside of what it names"),
    ("TT-Y003", f"1:{DEPTH_LIMIT + 4}", DEEP, "nested deeper"),
    ("TT-Y003", "1:1", f"# {'x' * TEXT_LIMIT}\n", "it is larger than"),
    ("TT-Y004", "1:7", "name: !!python/name:os.system shop.a\n", "the tag "),
    ("TT-Y004", "1:7", "name: !shop shop.a\n", "the tag !shop is not supported"),
    ("TT-Y005", "2:1", NAME + "name: shop.b\n", "the key 'name' stands twice: expected it once, as in line 1"),
    ("TT-Y005", "5:3", STEPS + "  a:\n  b:\n  a:\n", "the key 'a' stands twice"),
    ("TT-Y006", "2:1", NAME + "1: x\n", "the key 1 is no text: expected a text; put it in quotes"),
    ("TT-Y010", "2:1", NAME + "contxt: Order\n", "unknown key 'contxt'; did you mean 'context'?"),
    ("TT-Y010", "3:7", STEPS + "  a: {timout: 3s}\n", "step 'a' has an unknown key 'timout'; did you mean"),
    ("TT-Y010", "3:7", STEPS + "  a: {name: b}\n", "step 'a' has an unknown key 'name'"),
    ("TT-Y010", "3:15", STEPS + "  a: {retry: {zzz: 1}}\n", "'zzz': expected one of attempts, base_delay"),
    ("TT-Y011", "1:1", "- name: shop.a\n", "the template is a list: expected a mapping"),
    ("TT-Y011", "2:10", NAME + "version: 1.0\n", "'version' is 1.0: expected a text; put it in quotes"),
    ("TT-Y011", "2:8", NAME + "steps: [a, b]\n", "'steps' is a list: expected a mapping by name"),
    ("TT-Y011", "3:18", STEPS + "  a: {retryable: yes}\n", "is 'yes': expected true or false"),
    ("TT-Y011", "3:13", STEPS + "  a: {after: }\n", "'after' of step 'a' has no value: expected a list"),
    ("TT-Y011", "3:15", STEPS + "  a: {config: [1]}\n", "is a list: expected a mapping"),
    ("TT-Y011", "2:21", NAME + "limits: {in_flight: '8'}\n", "is '8': expected a whole number"),
    ("TT-Y012", "2:21", NAME + "limits: {in_flight: 0}\n", "'in_flight' of 'limits' is 0: expected at least 1"),
    ("TT-Y012", "2:11", NAME + "on_error: explode\n", "'on_error' is 'explode': expected 'fail' or 'hold'"),
    ("TT-Y012", "3:16", STEPS + "  a: {timeout: 0}\n", "'timeout' of step 'a' is 0s: expected more than 0 seconds"),
    ("TT-Y012", "3:19", STEPS + "  a: {config: {x: .nan}}\n", ".nan is no number that JSON has"),
    ("TT-Y013", "2:11", NAME + "hold_for: 3 weeks\n", "'hold_for': '3 weeks' is no duration: expected one like"),
    ("TT-Y013", "2:11", NAME + "hold_for: [3]\n", "'hold_for' is a list: expected a duration"),
    ("TT-Y014", "1:1", "version: '1'\non_error: 3\n", "the key 'name' is missing: the template needs it"),
    ("TT-Y020", "4:18", STEPS + "  pack:\n  ship: {after: [pakc]}\n", "did you mean 'pack'?"),
    ("TT-Y020", "4:21", STEPS + "  pack:\n  ship: {takes: {p: pakc}}\n", "did you mean 'pack'?"),
    ("TT-Y020", "4:20", STEPS + "  a:\n  b: {on: {failed: aa}}\n", "did you mean 'a'?"),
    ("TT-Y022", "4:37", EVENTS + "  a: {awaits: event, on: {received: payed}}\n", "did you mean 'paid'?"),
    ("TT-Y022", "4:47", EVENTS + "  a: {on: {any_of: [{elapsed: 1h}, {received: x}]}}\n", "which is not declared"),
    ("TT-Y023", "5:31", EVENTS + "  a: {branches: [small]}\n  b: {on: {chosen: a, branch: smal}}\n", "'small'?"),
    ("TT-Y010", "4:11", EVENTS + "  a: {on: {recieved: paid}}\n", "did you mean 'received'?"),
    ("TT-Y011", "4:11", EVENTS + "  a: {on: paid}\n", "expected a mapping with one of completed, failed"),
    ("TT-Y013", "4:21", EVENTS + "  a: {on: {elapsed: soon}}\n", "'soon' is no duration"),
    ("TT-Y021", "4:15", EVENTS + "  a: {takes: {why: {event_of: paid}}}\n", "its trigger does not name"),
    ("TT-Y011", "2:7", NAME + "type: critcal\n", "batch, or a mapping of its keys; did you mean 'critical'?"),
    ("TT-Y021", "2:7", NAME + "type: critical\n", "expected approval=Approval(...) with it"),
    ("TT-Y021", "4:3", EVENTS + "  a: {approval: {approvers: ann}}\n", "it awaits an approval"),
    ("TT-Y024", "4:13", EVENTS + "  a: {when: contxt.total > 1}\n", "reference to 'contxt"),
    ("TT-Y024", "4:13", EVENTS + "  a: {when: timestamp(context.at).getHours('CET') > 9}\n", "asked for a time zone"),
    ("TT-Y024", "4:13", EVENTS + "  a: {when: context.total > }\n", "it ends too early"),
    ("TT-Y024", "4:50", EVENTS + "  a: {awaits: event, on: {received: paid, match: 1 + 1}}\n", "expected true or"),
    ("TT-Y024", "5:11", EVENTS + "  a:\n    when: contex.x == 'a'\n", "reference to 'contex.x'"),
    ("TT-Y024", "5:11", EVENTS + "  a:\n    when: |\n      contex.x == 'a' &&\n      context.y == 2\n", "reference to"),
    ("TT-Y024", "2:17", NAME + "routes: [{when: contex.x}]\n", "reference to 'contex.x'"),
    ("TT-Y024", "5:46", TYPE.format("contex.x == 'a'"), "'in_progress' to 'error'"),
    ("TT-Y024", "5:46", TYPE.format("result.b > 1"), "reference to 'result.b"),
    ("TT-Y002", "2:9", NAME + "title: a\x01b\n", "the character #x0001 is not allowed"),
    ("TT-Y010", "5:26", EVENTS + "  a: {}\n  b: {on: {completed: a, failed: a}}\n", "says 'completed' and"),
    ("TT-Y011", "4:11", EVENTS + "  a: {on: {}}\n", "'on' of step 'a' is empty: expected one of completed, failed"),
    ("TT-Y011", "5:5", EVENTS + "  a:\n    on:\n", "'on' of step 'a' is empty: expected a value, or no key"),
    ("TT-Y011", "4:7", EVENTS + "  a: {when: ''}\n", "'when' of step 'a' is empty"),
    ("TT-Y024", "4:13", EVENTS + "  a: {when: '  '}\n", "it is empty: expected an expression"),
    ("TT-Y011", "4:28", EVENTS + "  a: {on: {received: paid, match: }}\n", "'match' of 'on' of step 'a' is empty"),
    ("TT-Y012", "4:25", EVENTS + "  a: {retry: {attempts: 0}}\n", "'attempts' of 'retry' of step 'a' is 0: expected"),
    ("TT-Y012", "4:20", EVENTS + "  a: {on: {all_of: []}}\n", "'all_of' of 'on' of step 'a' is empty: expected"),
    ("TT-Y012", "4:15", EVENTS + "  a: {awaits: evnt}\n", "'awaits' of step 'a' is 'evnt': expected 'handler', 'app"),
    ("TT-Y012", "2:7", NAME + "mode: sequental_only\n", "did you mean 'sequential_only'?"),
    ("TT-Y012", "2:31", NAME + "routes: [{when: 'true', mode: high}]\n", "'mode' of item 1 of 'routes'"),
    ("TT-Y021", "3:18", NAME + "mode: sequential_only\nmax_concurrency: 5\n", "runs one step at a time"),
    ("TT-Y021", "1:7", "name: 9 lives\n", "expected dotted identifiers"),
    ("TT-Y021", "3:3", STEPS + "  a: {after: b}\n  b: {after: a}\n", "step 'a' waits for itself"),
    ("TT-Y021", "3:3", STEPS + "  9 lives:\n", "expected an identifier"),
]
"""Code, line and column, text, and what is said."""


ONCE: list[tuple[str, str, int, int]] = [
    (f"{EVENTS}  a: {{awaits: approval, approval: {{approvers: []}}}}\n", "TT-Y012", 4, 47),
    (f"{EVENTS}  a: {{awaits: approval, approval: {{approvers: 3}}}}\n", "TT-Y011", 4, 47),
    (f"{EVENTS}  a: {{awaits: approval, approval: {{}}}}\n", "TT-Y014", 4, 35),
    (f"{EVENTS}  a: {{awaits: event, on: {{recieved: paid}}}}\n", "TT-Y010", 4, 26),
    (f"{EVENTS}  a: {{awaits: event, on: {{received: 3}}}}\n", "TT-Y011", 4, 37),
    (f"{EVENTS}  a: {{awaits: evnt, on: {{received: paid}}, on_deadline: skip}}\n", "TT-Y012", 4, 15),
    (f"{EVENTS}  a:\n  b: {{on: {{failled: a}}, takes: {{why: {{failure_of: a}}}}}}\n", "TT-Y010", 5, 11),
    (f"{EVENTS}  a: {{branches: 3}}\n  b: {{on: {{chosen: a, branch: x}}}}\n", "TT-Y011", 4, 17),
    ("name: shop.a\ntype: critical\napproval: {approvers: []}\n", "TT-Y012", 3, 23),
    ("name: shop.a\ntype: critcal\napproval: {approvers: [ann]}\n", "TT-Y011", 2, 7),
    ("name: shop.a\ntype: {name: x, rows: [{source: in_progress}]}\n", "TT-Y014", 2, 24),
    ("name: shop.a\ntype: {name: x, rows: [{source: in_progress, to: complete, when: 3}]}\n", "TT-Y012", 2, 66),
    ("name: shop.a\nsinks: {ledger: {events: 3}}\n", "TT-Y011", 2, 26),
    ("name: shop.a\nroutes: [{when: 'true'}, {when: contex.x}]\n", "TT-Y024", 2, 33),
    ("name: shop.a\nroutes: [{when: 'true'}, {when: contex.x, name: big}]\n", "TT-Y024", 2, 33),
    ("name: shop.a\ntask_queue: /_sys/x\n", "TT-Y021", 2, 13),
    (f"{EVENTS}  a: {{task_queue: ''}}\n", "TT-Y021", 4, 7),
    (f"{EVENTS}  a: {{awaits: approval, approval: {{approvers: [ann], quorum: 2}}}}\n", "TT-Y021", 4, 54),
]


@pytest.mark.parametrize(("text", "code", "line", "column"), ONCE, ids=[f"{case[1]} {case[0][12:]}" for case in ONCE])
def test_one_mistake_is_told_once_and_where_it_stands(text: str, code: str, line: int, column: int) -> None:
    found = [(problem.code, problem.line, problem.column) for problem in problems_of(text).problems]
    assert found == [(code, line, column)], problems_of(text)


def test_what_was_refused_in_one_step_hides_no_mistake_of_another() -> None:
    text = f"{EVENTS}  a: {{awaits: event, on: {{recieved: paid}}}}\n  b: {{awaits: event, on: {{elapsed: 1h}}}}\n"
    assert [(problem.code, problem.line) for problem in problems_of(text).problems] == [("TT-Y010", 4), ("TT-Y021", 5)]


EVERYTHING = """\
name: shop.everything
version: "3"
type: critical
approval: {approvers: [ann], notify: tell}
limits: {in_flight: 8}
events: {paid: {model: Paid}}
routes: [{when: context.total > 1000, mode: high_priority}]
sinks: {ledger: {events: ["step.*"], within: null}}
steps:
  charge: {retry: {attempts: 5, base_delay: 250ms}, timeout: 1h30m, config: {on: [1, .5, ~]}, branches: [a, b]}
  sorry:
    on: {any_of: [{failed: charge}, {all_of: [{chosen: charge, branch: a}, {elapsed: PT1H}]}]}
    takes: {why: {failure_of: charge, optional: true}, order: context}
  wait: {awaits: event, on: {received: paid, match: event.x == 1}, after: charge, deadline: 3d}
"""


def problems_of(text: str) -> YamlError:
    with pytest.raises(YamlError) as raised:
        read_template(text)
    return raised.value


@pytest.mark.parametrize(("code", "at", "text", "said"), WRONG, ids=[f"{code} {said}" for code, _, _, said in WRONG])
def test_a_mistake_has_its_code_its_line_and_its_column(code: str, at: str, text: str, said: str) -> None:
    found = problems_of(text if "\n" in text else f"{text}\n").problems[0]
    assert (found.code, f"{found.line}:{found.column}") == (code, at), found
    assert said in found.message


MANY = """\
name: shop.a
version: 2
steps:
  pack:
    timout: 5m
    retry: {attempts: 0, base_delay: soon}
  ship:
    after: [pakc]
    deadline: 5 minutes
"""


def test_all_mistakes_are_told_at_once_from_top_to_bottom() -> None:
    error = problems_of(MANY)
    places = [(problem.code, problem.line) for problem in error.problems]
    assert places == [
        ("TT-Y011", 2), ("TT-Y010", 5), ("TT-Y012", 6), ("TT-Y013", 6), ("TT-Y020", 8), ("TT-Y013", 9),
    ]  # fmt: skip
    assert isinstance(error, TemplateError)
    assert len(error.mistakes) == 6


def test_a_mistake_shows_its_line_and_points_into_it() -> None:
    assert "<text>:5:5: TT-Y010: step 'pack' has an unknown key 'timout'; did you mean 'timeout'?\n" + (
        "          timout: 5m\n          ^"
    ) in str(problems_of(MANY))


def test_a_file_is_named_in_each_mistake(tmp_path: Path) -> None:
    file = tmp_path / "order.yaml"
    file.write_text(MANY)
    for path in (file, str(file)):
        with pytest.raises(YamlError, match=re.escape(f"{file}:2:10: TT-Y011")):
            read_template(path)


def test_a_file_that_cannot_be_read_is_one_mistake(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    for name, why in (("none.yaml", "No such file"), ("latin.yaml", "not UTF-8")):
        with pytest.raises(YamlError, match=why) as raised:
            read_template(tmp_path / name)
        assert [problem.code for problem in raised.value.problems] == ["TT-Y001"]


PIECES = [
    "\n",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "!x ",
    "'",
    '"',
    "|",
    "#",
    "on",
    "steps",
    "null",
    "\t",
    "\u2028",
    "1",
]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2000), st.integers(0, 9), st.sampled_from(PIECES) | st.text(max_size=3)), max_size=4
    )
)
def test_a_text_that_is_no_template_has_no_other_error(edits: list[tuple[int, int, str]]) -> None:
    text = EVERYTHING
    for at, gone, piece in edits:
        place = at % (len(text) + 1)
        text = text[:place] + piece + text[place + gone :]
    found: tuple[YamlProblem, ...] | None = None
    try:
        read_template(f"{text}\n")
    except YamlError as error:
        found = error.problems
    assert found != ()
    assert {problem.code for problem in found or ()} <= CODES.keys()
