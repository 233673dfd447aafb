"""The doors of votes: who may vote, when, and that nobody does twice."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from pydantic_core import to_json

from tasker_temporal.core.approval import ANYBODY, GROUP, is_name
from tasker_temporal.core.ballots import approval_id, early, inbox_name, terms_of, votes_so_far
from tasker_temporal.core.inbox import require_room
from tasker_temporal.core.messages import Content, Message, Note, Vote
from tasker_temporal.core.requests import Approve, Reject, VoteAsk, Withdraw
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RequestRefused


def approve(request: Approve, task: Task) -> Iterator[Message]:
    if request.form is not None and not _takes_form(request, task):
        raise RequestRefused(f"approval {approval_id(task, request.step)!r} has no form: vote without one")
    yield _voted(request, task, approves=True, form=request.form)


def reject(request: Reject, task: Task) -> Iterator[Message]:
    yield _voted(request, task, approves=False, form=None)


def withdraw(request: Withdraw, task: Task) -> Iterator[Message]:
    id = _require_current(request, task)
    if request.actor not in _voters(task, id):
        raise RequestRefused(f"{request.actor!r} has no vote on {id!r} to take back", ("approve", "reject"))
    yield Note("approval.withdrawn", request.step, {"approval": id}, request.actor, request.reason)


def _voted(request: VoteAsk, task: Task, *, approves: bool, form: Any) -> Note:
    id = _require_current(request, task)
    _require_voter(request, task, id)
    vote = Vote(request.actor, approves, request.reason, Content(to_json(form)))
    said: dict[str, Any] = {"approval": id, "vote": "approve" if approves else "reject"}
    if form is not None:
        said["form"] = task.trace(vote.form.data)
    if request.identity is not None:
        said["verified"] = True
    if id not in task.ballots:
        require_room(task, inbox_name(id), early(vote))
        said["early"] = True
    return Note("approval.voted", request.step, said, request.actor, request.reason, change={"vote": vote})


def _require_current(request: VoteAsk, task: Task) -> str:
    id = approval_id(task, request.step)
    if request.approval not in (None, id):
        raise RequestRefused(f"approval {request.approval!r} is not the one that counts: that is {id!r}")
    return id


def _require_voter(request: VoteAsk, task: Task, id: str) -> None:
    terms = terms_of(task, request.step)
    assert terms is not None
    if terms.verified and request.identity is None:
        raise RequestRefused(f"approval {id!r} takes votes of verified identities alone, and this request has none")
    if terms.not_requester and _is_same(task, request.actor, task.requester):
        who = f"{request.actor!r} started the task{_as(request.actor, task.requester)}"
        raise RequestRefused(f"{who}: somebody else must decide {id!r}")
    ballot = task.ballots.get(id)
    voters = terms.voters(escalated=ballot is not None and ballot.escalated)
    if not _is_among(request, voters, task):
        raise RequestRefused(f"{request.actor!r} may not vote on {id!r}: expected one of {', '.join(voters)}")
    voted = next((voter for voter in _voters(task, id) if _is_same(task, request.actor, voter)), None)
    if voted is not None:
        who = f"{request.actor!r} has voted on {id!r} already{_as(request.actor, voted)}"
        raise RequestRefused(f"{who}: withdraw that vote first", ("withdraw",))


def _is_among(request: VoteAsk, voters: tuple[str, ...], task: Task) -> bool:
    """Somebody who calls himself as a group is not in it."""
    groups = () if request.identity is None else request.identity.groups
    person = request.actor if is_name(request.actor) or task.interpreter < 3 else ANYBODY
    return any(one in voters for one in (ANYBODY, person, *(f"{GROUP}{group}" for group in groups)))


def _is_same(task: Task, one: str, other: str) -> bool:
    """Nobody becomes another person by spelling his name otherwise. Who may vote is named letter by letter."""
    return one == other if task.interpreter < 3 else _folded(one) == _folded(other)


def _folded(name: str) -> str:
    """The name without what is spelled in several ways: of a character that there is, Unicode never changes that."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _as(name: str, known: str) -> str:
    return "" if name == known else f", as {known!r}"


def _voters(task: Task, id: str) -> list[str]:
    return [vote.actor for vote in votes_so_far(task, id)]


def _takes_form(request: VoteAsk, task: Task) -> bool:
    return request.step is not None and task.steps[request.step].template.result != "None"
