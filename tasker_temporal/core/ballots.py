"""The votes of a task's open approvals, and of those that are not open yet.

An approval's id is `<step>#<round>`, or `task#<round>` for the task's own: a vote that names it can never count for a
later round. Votes that come before it opens are in the inbox, and are counted with it, oldest first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic_core import to_json

from tasker_temporal.core.approval import Approval
from tasker_temporal.core.inbox import keep_early, take
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Ballot, Content, Kept, Note, Vote
from tasker_temporal.core.rows import Row
from tasker_temporal.core.task import Task

Decision = Literal["approved", "rejected", "overdue"]


class Decided(NamedTuple):
    """What was decided, and by which votes; by none of them if it was the deadline."""

    decision: Decision
    votes: tuple[Vote, ...]


def terms_of(task: Task, step: str | None) -> Approval | None:
    """The terms of the step's approval, or of the task's own; None if there is none."""
    return task.template.approval if step is None else task.steps[step].template.approval


def approval_id(task: Task, step: str | None) -> str:
    """The id of the approval that is open, or opens next."""
    return f"task#{task.round}" if step is None else f"{step}#{task.steps[step].round}"


def inbox_name(id: str) -> str:
    return f"approval:{id}"


def votes_so_far(task: Task, id: str) -> tuple[Vote, ...]:
    """Those of an open approval, or those that came early, oldest first."""
    ballot = task.ballots.get(id)
    if ballot is not None:
        return ballot.votes
    return tuple(_vote(kept) for kept in task.inbox.get(inbox_name(id), ()))


def decided(votes: tuple[Vote, ...], terms: Approval) -> Decided | None:
    """What the votes decide: a vote against at once, votes for as soon as they are as many as the quorum."""
    approving = 0
    for place, vote in enumerate(votes, 1):
        approving += vote.approves
        if not vote.approves:
            return Decided("rejected", (vote,))
        if approving == terms.quorum:
            return Decided("approved", votes[:place])
    return None


# What the noted events mean. `change` of their notes has what rows do not hold.


def open_ballot(task: Task, note: Note, row: Row) -> None:
    id = note.metadata["approval"]
    early = tuple(_vote(kept) for kept in take(task, inbox_name(id)))
    task.journal.put(task.ballots, id, Ballot(note.step, early))


def cast(task: Task, note: Note, row: Row) -> None:
    id, vote = note.metadata["approval"], note.change["vote"]._replace(row=row.sort_key)
    ballot = task.ballots.get(id)
    if ballot is not None:
        task.journal.put(task.ballots, id, ballot._replace(votes=(*ballot.votes, vote)))
    else:
        keep_early(task, inbox_name(id), vote.actor, row.sort_key, early(vote))


def take_back(task: Task, note: Note, row: Row) -> None:
    id = note.metadata["approval"]
    ballot = task.ballots.get(id)
    if ballot is not None:
        left = tuple(vote for vote in ballot.votes if vote.actor != note.actor)
        task.journal.put(task.ballots, id, ballot._replace(votes=left))
        return
    for kept in take(task, inbox_name(id)):
        if kept.id != note.actor:
            keep_early(task, inbox_name(id), *kept)


def escalate(task: Task, note: Note, row: Row) -> None:
    id = note.metadata["approval"]
    task.journal.put(task.ballots, id, task.ballots[id]._replace(escalated=True))


def close_ballot(task: Task, step: str | None) -> None:
    """What was voted in this round counts for nothing any more."""
    id = approval_id(task, step)
    if id in task.ballots:
        task.journal.drop(task.ballots, id)
    take(task, inbox_name(id))


def early(vote: Vote) -> Content:
    """The vote as the inbox keeps it."""
    plain = {"approves": vote.approves, "reason": vote.reason}
    return Content(to_json(plain)[:-1] + b',"form":' + vote.form.data + b"}")


def _vote(kept: Kept) -> Vote:
    plain = json.loads(kept.content.data)
    return Vote(kept.id, plain["approves"], plain["reason"], Content(to_json(plain["form"])), kept.row)


def is_awaited(task: Task, step: str | None) -> bool:
    """Its votes count, or will when it opens."""
    state = task.state if step is None else task.steps[step].state
    return terms_of(task, step) is not None and state in voting(task, step)


def voting(task: Task, step: str | None) -> Sequence[State | str]:
    """The states in which the step's approval, or the task's own, can be voted on."""
    return task.type.asking if step is None else (State.PENDING, State.IN_PROGRESS)
