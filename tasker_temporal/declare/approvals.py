"""A declared step that people decide."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict, TypeVar

from tasker_temporal.approval_notice import Notifier
from tasker_temporal.declare.steps import DeclaredStep, sorted_out
from tasker_temporal.expression import On
from tasker_temporal.signature import Signature

if TYPE_CHECKING:
    from tasker_temporal.declare.template import TaskTemplate

U = TypeVar("U")


class ApprovalOptions(TypedDict, total=False):
    """How people are asked.

    Keys:
        after: Steps that must be over first.
        on: When people are asked, as of every step.
        when: Whether they are, as of every step: a condition that does not hold skips the approval.
        approvers: Who may vote: names of actors, `group:NAME` for verified identities of that group, `*` for anybody.
        quorum: So many votes approve, 1 unless said. One vote against rejects at once.
        not_requester: Four eyes: who started the task may not vote. True unless said.
        deadline: How long they are waited for; without one, for ever.
        on_deadline: `reject` (as it comes), `approve`, or `escalate`: then `escalate_to` may vote too, and as much time
            is given once more, after which it is rejected.
        escalate_to: Who may vote once it is escalated.
        verified: Only verified identities may vote. False unless said.
        notify: Called with an `ApprovalNotice` when the approval is opened, escalated and decided; a failure of it is
            noted, and holds nothing up.
        formerly: Names that the step had.
        description: For people.
    """

    after: Iterable[DeclaredStep[..., Any, Any]]
    on: On
    when: str
    approvers: Required[Iterable[str]]
    quorum: int
    not_requester: bool
    deadline: timedelta
    on_deadline: Literal["reject", "approve", "escalate"]
    escalate_to: Iterable[str]
    verified: bool
    notify: Notifier
    formerly: Iterable[str]
    description: str


class DeclaredApproval(DeclaredStep[[], U, U]):
    """A step that waits for people. Its result is the form that they filled in, None if it has no form."""

    awaits = "approval"

    def __init__(self, template: TaskTemplate[Any], name: str, form: Any, options: ApprovalOptions) -> None:
        said, unknown = sorted_out(options, tuple(ApprovalOptions.__annotations__))
        self.notify: Notifier | None = said.pop("notify", None)
        shared = ("after", "on", "when", "deadline", "formerly", "description")
        of_step = {key: said.pop(key) for key in shared if key in said}
        terms = said if self.notify is None else {**said, "notify": True}
        given: Any = {**of_step, "awaits": "approval", "approval": terms}
        super().__init__(template, name, self._no_handler, given, {})
        self.__name__, self.form, self.unknown = name, form, unknown

    @functools.cached_property
    def signature(self) -> Signature:
        return Signature((), self.form, ())

    def _no_handler(self) -> U:
        raise TypeError(f"step {self.name!r} is an approval: it has no handler, people decide it")
