"""What a request hands over, read as its declared type: by a worker, or by a client that has the template."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json
from temporalio.converter import PayloadConverter

from tasker_temporal.core.contents import Handed, handed_over
from tasker_temporal.core.requests import Ask
from tasker_temporal.core.template import PAYLOAD_LIMIT
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.errors import RequestRefused
from tasker_temporal.signature import adapter


def declares(template: TaskTemplate[Any], request: Ask) -> bool:
    """What the request hands over has a type there."""
    match handed_over(request, template.compiled):
        case Handed("payload", _):
            return True
        case Handed(_, name):
            return any(name in (step.name, *step.options.get("formerly", ())) for step in template.declared)
    return False


def as_checked(template: TaskTemplate[Any], request: Ask, converter: PayloadConverter) -> Ask:
    """The request as a worker with this template would take it.

    Raises:
        RequestRefused: what it hands over is not of its declared type, or the template does not declare that.
    """
    handed = handed_over(request, template.compiled)
    if handed is None:
        return request
    given, answer = (given_payload, "payload") if handed.field == "payload" else (given_result, "result")
    found = given(template, handed.name, to_json(getattr(request, handed.field)), converter)
    if "problem" in found:
        raise RequestRefused(found["problem"])
    return request.holding(**{handed.field: found[answer]})


def given_result(template: TaskTemplate[Any], name: str, given: bytes, converter: PayloadConverter) -> dict[str, Any]:
    """A `result` that somebody gave, as JSON of the step's type, or the `problem` with it. It never raises."""
    known = [s for s in template.declared if name in (s.name, *s.options.get("formerly", ()))]
    if not known:
        return {"problem": f"this worker does not know step {name!r}, so nobody can check a result for it"}
    try:
        checked = adapter(known[0].signature.result).validate_json(given)
        payload = converter.to_payload(checked)
        plain = json.loads(payload.data or b"null")
    except ValidationError as error:
        return {"problem": f"the result of step {name!r} is not valid: {said(error)}"}
    except Exception as error:
        # A local activity that raises would be tried again for ever.
        return {"problem": f"the result of step {name!r} cannot be given as JSON: {error!r}"}
    if payload.ByteSize() > PAYLOAD_LIMIT:
        return {"problem": f"the result takes {payload.ByteSize()} bytes: at most {PAYLOAD_LIMIT} can be kept"}
    return {"result": plain}


def given_payload(template: TaskTemplate[Any], name: str, given: bytes, converter: PayloadConverter) -> dict[str, Any]:
    """The `payload` of an event, as JSON of its declared type, or the `problem` with it. It never raises."""
    known = next((declared for declared in template.events if declared.name == name), None)
    if known is None:
        return {"problem": f"this worker does not know event {name!r}, so nobody can check its payload"}
    try:
        checked = adapter(known.model).validate_json(given or b"null")
        return {"payload": json.loads(converter.to_payload(checked).data or b"null")}
    except ValidationError as error:
        return {"problem": f"the payload of event {name!r} is not valid: {said(error)}"}
    except Exception as error:
        # A local activity that raises would be tried again for ever.
        return {"problem": f"the payload of event {name!r} cannot be kept as JSON: {error!r}"}


def problems_of(error: ValidationError) -> list[dict[str, Any]]:
    """The errors as `loc`, `type` and `msg`, without the input, which may be personal."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [{"loc": list(problem["loc"]), "type": problem["type"], "msg": problem["msg"]} for problem in found]


def said(error: ValidationError) -> str:
    """The errors in one line, without the input."""
    return "; ".join(f"{'.'.join(map(str, p['loc'])) or 'the whole'}: {p['msg']}" for p in problems_of(error))
