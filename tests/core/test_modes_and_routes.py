"""How many steps run at once, and which route a task takes."""

from __future__ import annotations

from tests.core.driving import Drive, restored, started, step, template


def test_no_more_than_max_concurrency_run() -> None:
    drive = started(*(step(name) for name in "abc"), max_concurrency=2)
    assert list(drive.running) == ["a", "b"]


def test_a_start_wins_over_a_route_and_a_route_over_the_template() -> None:
    from tasker_temporal.core.routes import Course

    routes = [{"when": "context.total > 10", "max_concurrency": 2, "priority": 2, "name": "large"}]
    flow = template(*(step(name) for name in "abc"), mode="sequential_only", routes=routes)
    drive = Drive(flow, context=b'{"total": 11}')
    drive.start(course=Course(mode="concurrent"))
    assert drive.row("task.routed").metadata == {
        "rule": "large",
        "mode": "concurrent",
        "max_concurrency": 2,
        "priority": 2,
    }
    assert list(drive.running) == ["a", "b"]
    assert restored(drive.task).course == drive.task.course


def test_a_task_without_a_fitting_route_has_no_row_about_it() -> None:
    drive = Drive(
        template(step("a"), routes=[{"when": "context.total > 10", "mode": "high_priority"}]), context=b'{"total": 1}'
    )
    drive.start()
    assert "task.routed" not in drive.said
