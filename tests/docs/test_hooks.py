"""What is printed into the pages is read from the code, and nothing of it is lost on the way."""

from __future__ import annotations

import pytest

from docs.hooks import PARTS, generated, table
from tasker_temporal import errors
from tasker_temporal.cli import tasker
from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.machine import STEP_TABLE, TASK_TABLE, Table
from tasker_temporal.core.subscribers import SUBSCRIPTIONS
from tests.docs.blocks import pages


def _part(asked: str) -> str:
    return generated(f"<!-- generated: {asked} -->")


@pytest.mark.parametrize(("entity", "moves"), [("task", TASK_TABLE), ("step", STEP_TABLE)])
def test_every_move_is_a_line_with_its_event(entity: str, moves: Table) -> None:
    lines = _part(f"transitions {entity}").splitlines()[2:]
    assert lines == [f"| `{old or '(none)'}` | `{new}` | `{event}` |" for (old, new), event in moves.items()]


def test_every_event_is_a_line_with_who_hears_it() -> None:
    lines = _part("events").splitlines()[2:]
    assert [line.split("`")[1] for line in lines] == list(EVENTS)
    heard = [subscriber.__name__ for subscribers in SUBSCRIPTIONS.values() for subscriber in subscribers]
    assert sum(line.count(f"`{name}`") for line in lines for name in set(heard)) == len(heard)


def test_an_option_has_its_type_its_docstring_and_its_default() -> None:
    [line] = [line for line in _part("options step").splitlines() if line.startswith("| `timeout`")]
    assert line == ("| `timeout` | <code>timedelta</code> | One attempt, 10 minutes unless said. | `0:10:00` |")


def test_a_field_has_the_docstring_below_it() -> None:
    [line] = [line for line in _part("model Retry").splitlines() if line.startswith("| `attempts`")]
    assert line == "| `attempts` | <code>int</code> | `3` | All attempts, the first included. |"


def test_every_error_is_in_the_table_with_its_base() -> None:
    classes = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, Exception)]
    for error in classes:
        assert f"| `{error.__name__}` | `{error.__bases__[0].__name__}` |" in _part("errors")


def test_every_command_and_each_of_its_options_is_there() -> None:
    for name, command in tasker.commands.items():
        assert f"## tasker {name}\n" in _part("commands")
        assert all(option.opts[0] in _part("commands") for option in command.params)


def test_an_example_of_a_command_is_code_and_what_it_takes_is_shown_as_it_is_written() -> None:
    said = _part("commands")
    assert "\n```sh\ntasker new my_shop\n```\n" in said
    assert "| `--context JSON|@FILE|-` |" in said
    assert "\b" not in said


def test_a_bar_outside_of_code_divides_no_cells() -> None:
    assert table(("a|b", "`a|b`"), []).splitlines()[0] == "| a&#124;b | `a|b` |"


def test_some_page_asks_for_each_part() -> None:
    text = "\n".join(page.read_text() for page in pages())
    assert [name for name in PARTS if f"<!-- generated: {name}" not in text] == []


def test_a_part_that_is_not_there_fails() -> None:
    with pytest.raises(KeyError):
        _part("nonsense")
