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

EVENTS = "name: shop.a\nevents: {paid: }\nsteps:\n"

TYPE = (
    "name: shop.a\ntype:\n  name: large\n  rows:\n"
    "    - {{source: in_progress, to: error, when: {}}}\n    - {{source: in_progress, to: complete}}\n"
)

WRONG: list[tuple[str, str, int, int, str]] = [
    ("TT-Y002", "", 1, 1, "it is empty"),
    ("TT-Y002", "name: [a\nb: c", 2, 2, "it is not YAML"),
    ("TT-Y002", "name: *x\n", 1, 7, "the alias *x names no anchor"),
    ("TT-Y002", "name: shop.a\n---\nname: shop.b\n", 2, 1, "a second document begins"),
    ("TT-Y002", "%YAML 1.1\n---\nname: shop.a\n", 2, 1, "another version of YAML: expected 1.2"),
    ("TT-Y002", "name: \x00\n", 1, 7, "it is not YAML"),
    ("TT-Y003", BOMB, 6, 16, "values, aliases expanded"),
    ("TT-Y003", "a: &a [*a]\n", 1, 8, "the alias *a stands inside of what it names"),
    ("TT-Y003", DEEP, 1, DEPTH_LIMIT + 4, "nested deeper"),
    ("TT-Y003", f"# {'x' * TEXT_LIMIT}\n", 1, 1, "it is larger than"),
    ("TT-Y004", "name: !!python/name:os.system shop.a\n", 1, 7, "the tag "),
    ("TT-Y004", "name: !shop shop.a\n", 1, 7, "the tag !shop is not supported"),
    ("TT-Y005", "name: shop.a\nname: shop.b\n", 2, 1, "the key 'name' stands twice: expected it once, as in line 1"),
    ("TT-Y005", "name: shop.a\nsteps:\n  a:\n  b:\n  a:\n", 5, 3, "the key 'a' stands twice"),
    ("TT-Y006", "name: shop.a\n1: x\n", 2, 1, "the key 1 is no text: expected a text; put it in quotes"),
    ("TT-Y010", "name: shop.a\ncontxt: Order\n", 2, 1, "unknown key 'contxt'; did you mean 'context'?"),
    (
        "TT-Y010",
        "name: shop.a\nsteps:\n  a: {timout: 3s}\n",
        3,
        7,
        "step 'a' has an unknown key 'timout'; did you mean",
    ),
    ("TT-Y010", "name: shop.a\nsteps:\n  a: {name: b}\n", 3, 7, "step 'a' has an unknown key 'name'"),
    ("TT-Y010", "name: shop.a\nsteps:\n  a: {retry: {zzz: 1}}\n", 3, 15, "'zzz': expected one of attempts, base_delay"),
    ("TT-Y011", "- name: shop.a\n", 1, 1, "the template is a list: expected a mapping"),
    ("TT-Y011", "name: shop.a\nversion: 1.0\n", 2, 10, "'version' is 1.0: expected a text; put it in quotes"),
    ("TT-Y011", "name: shop.a\nsteps: [a, b]\n", 2, 8, "'steps' is a list: expected a mapping by name"),
    ("TT-Y011", "name: shop.a\nsteps:\n  a: {retryable: yes}\n", 3, 18, "is 'yes': expected true or false"),
    ("TT-Y011", "name: shop.a\nsteps:\n  a: {after: }\n", 3, 13, "'after' of step 'a' has no value: expected a list"),
    ("TT-Y011", "name: shop.a\nsteps:\n  a: {config: [1]}\n", 3, 15, "is a list: expected a mapping"),
    ("TT-Y011", "name: shop.a\nlimits: {in_flight: '8'}\n", 2, 21, "is '8': expected a whole number"),
    ("TT-Y012", "name: shop.a\nlimits: {in_flight: 0}\n", 2, 21, "'in_flight' of 'limits' is 0: expected at least 1"),
    ("TT-Y012", "name: shop.a\non_error: explode\n", 2, 11, "'on_error' is 'explode': expected 'fail' or 'hold'"),
    (
        "TT-Y012",
        "name: shop.a\nsteps:\n  a: {timeout: 0}\n",
        3,
        16,
        "'timeout' of step 'a' is 0s: expected more than 0 seconds",
    ),
    ("TT-Y012", "name: shop.a\nsteps:\n  a: {config: {x: .nan}}\n", 3, 19, ".nan is no number that JSON has"),
    ("TT-Y013", "name: shop.a\nhold_for: 3 weeks\n", 2, 11, "'hold_for': '3 weeks' is no duration: expected one like"),
    ("TT-Y013", "name: shop.a\nhold_for: [3]\n", 2, 11, "'hold_for' is a list: expected a duration"),
    ("TT-Y014", "version: '1'\non_error: 3\n", 1, 1, "the key 'name' is missing: the template needs it"),
    ("TT-Y020", "name: shop.a\nsteps:\n  pack:\n  ship: {after: [pakc]}\n", 4, 18, "did you mean 'pack'?"),
    ("TT-Y020", "name: shop.a\nsteps:\n  pack:\n  ship: {takes: {p: pakc}}\n", 4, 21, "did you mean 'pack'?"),
    ("TT-Y020", "name: shop.a\nsteps:\n  a:\n  b: {on: {failed: aa}}\n", 4, 20, "did you mean 'a'?"),
    ("TT-Y022", f"{EVENTS}  a: {{awaits: event, on: {{received: payed}}}}\n", 4, 37, "did you mean 'paid'?"),
    (
        "TT-Y022",
        f"{EVENTS}  a: {{on: {{any_of: [{{elapsed: 1h}}, {{received: x}}]}}}}\n",
        4,
        47,
        "which is not declared",
    ),
    ("TT-Y023", f"{EVENTS}  a: {{branches: [small]}}\n  b: {{on: {{chosen: a, branch: smal}}}}\n", 5, 31, "'small'?"),
    ("TT-Y010", f"{EVENTS}  a: {{on: {{recieved: paid}}}}\n", 4, 11, "did you mean 'received'?"),
    ("TT-Y011", f"{EVENTS}  a: {{on: paid}}\n", 4, 11, "expected a mapping with one of completed, failed"),
    ("TT-Y013", f"{EVENTS}  a: {{on: {{elapsed: soon}}}}\n", 4, 21, "'soon' is no duration"),
    ("TT-Y021", f"{EVENTS}  a: {{takes: {{why: {{event_of: paid}}}}}}\n", 4, 15, "its trigger does not name"),
    ("TT-Y011", "name: shop.a\ntype: critcal\n", 2, 7, "batch, or a mapping of its keys; did you mean 'critical'?"),
    ("TT-Y021", "name: shop.a\ntype: critical\n", 2, 7, "expected approval=Approval(...) with it"),
    ("TT-Y021", f"{EVENTS}  a: {{approval: {{approvers: ann}}}}\n", 4, 3, "it awaits an approval"),
    ("TT-Y024", f"{EVENTS}  a: {{when: contxt.total > 1}}\n", 4, 13, "reference to 'contxt"),
    ("TT-Y024", f"{EVENTS}  a: {{when: timestamp(context.at).getHours('CET') > 9}}\n", 4, 13, "asked for a time zone"),
    ("TT-Y024", f"{EVENTS}  a: {{when: context.total > }}\n", 4, 13, "Syntax error"),
    (
        "TT-Y024",
        f"{EVENTS}  a: {{awaits: event, on: {{received: paid, match: 1 + 1}}}}\n",
        4,
        50,
        "expected true or false",
    ),
    ("TT-Y024", f"{EVENTS}  a:\n    when: contex.x == 'a'\n", 5, 11, "reference to 'contex.x'"),
    (
        "TT-Y024",
        f"{EVENTS}  a:\n    when: |\n      contex.x == 'a' &&\n      context.y == \"b\"\n",
        5,
        11,
        "reference to",
    ),
    ("TT-Y024", "name: shop.a\nroutes: [{when: contex.x}]\n", 2, 17, "reference to 'contex.x'"),
    ("TT-Y024", TYPE.format("contex.x == 'a'"), 5, 46, "'in_progress' to 'error'"),
    ("TT-Y024", TYPE.format("result.b > 1"), 5, 46, "reference to 'result.b"),
    ("TT-Y002", "name: shop.a\ntitle: a\x01b\n", 2, 9, "the character #x0001 is not allowed"),
    (
        "TT-Y010",
        f"{EVENTS}  a: {{}}\n  b: {{on: {{completed: a, failed: a}}}}\n",
        5,
        26,
        "says 'completed' and",
    ),
    ("TT-Y011", f"{EVENTS}  a: {{on: {{}}}}\n", 4, 11, "'on' of step 'a' is empty: expected one of completed, failed"),
    ("TT-Y011", f"{EVENTS}  a:\n    on:\n", 5, 5, "'on' of step 'a' is empty: expected a value, or no key"),
    ("TT-Y011", f"{EVENTS}  a: {{when: ''}}\n", 4, 7, "'when' of step 'a' is empty"),
    ("TT-Y024", f"{EVENTS}  a: {{when: '  '}}\n", 4, 13, "it is empty: expected an expression"),
    ("TT-Y011", f"{EVENTS}  a: {{on: {{received: paid, match: }}}}\n", 4, 28, "'match' of 'on' of step 'a' is empty"),
    (
        "TT-Y012",
        f"{EVENTS}  a: {{retry: {{attempts: 0}}}}\n",
        4,
        25,
        "'attempts' of 'retry' of step 'a' is 0: expected at",
    ),
    (
        "TT-Y012",
        f"{EVENTS}  a: {{on: {{all_of: []}}}}\n",
        4,
        20,
        "'all_of' of 'on' of step 'a' is empty: expected",
    ),
    ("TT-Y012", f"{EVENTS}  a: {{awaits: evnt}}\n", 4, 15, "'awaits' of step 'a' is 'evnt': expected 'handler', 'app"),
    ("TT-Y012", "name: shop.a\nmode: sequental_only\n", 2, 7, "did you mean 'sequential_only'?"),
    (
        "TT-Y012",
        "name: shop.a\nroutes: [{when: 'true', mode: high}]\n",
        2,
        31,
        "'mode' of item 1 of 'routes'",
    ),
    ("TT-Y021", "name: shop.a\nmode: sequential_only\nmax_concurrency: 5\n", 3, 18, "runs one step at a time"),
    ("TT-Y021", "name: 9 lives\n", 1, 7, "expected dotted identifiers"),
    ("TT-Y021", "name: shop.a\nsteps:\n  a: {after: b}\n  b: {after: a}\n", 3, 3, "step 'a' waits for itself"),
    ("TT-Y021", "name: shop.a\nsteps:\n  9 lives:\n", 3, 3, "expected an identifier"),
]


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


@pytest.mark.parametrize(
    ("code", "text", "line", "column", "said"), WRONG, ids=[f"{case[0]} {case[4]}" for case in WRONG]
)
def test_a_mistake_has_its_code_its_line_and_its_column(
    code: str, text: str, line: int, column: int, said: str
) -> None:
    found = problems_of(text if "\n" in text else f"{text}\n").problems[0]
    assert (found.code, found.line, found.column) == (code, line, column), found
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
