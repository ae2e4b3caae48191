"""What an administrator on the machine can do, by name.

The `ums` command runs these in its own process, or hands them to the server that holds the
database; either way it is this code that does the work.
"""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from msgspec import Struct

from ums.bounds import LEAST, MOST_ID, is_stored
from ums.core.audit import audit_gate, audit_log
from ums.core.context.app_context import AppContext
from ums.core.messages.intake import Intake
from ums.core.verbs import (
    accounts,
    auditing,
    callbacks,
    governance,
    halting,
    installation,
    management,
    materials,
    messages,
    operators,
    segments,
    templates,
    users,
)
from ums.core.verbs.base import Verb
from ums.errors import Detail, Invalid
from ums.parser_words import retell

VERBS: dict[str, Verb] = {
    **accounts.VERBS,
    **auditing.VERBS,
    **callbacks.VERBS,
    **governance.VERBS,
    **halting.VERBS,
    **installation.VERBS,
    **management.VERBS,
    **materials.VERBS,
    **messages.VERBS,
    **operators.VERBS,
    **segments.VERBS,
    **templates.VERBS,
    **users.VERBS,
}

UNAUDITED = {name: "reads" for name in VERBS if name.endswith((".list", ".show"))} | {
    "callback.batch": "reads",
    "callback.batches": "reads",
    "doctor": "looks, and changes nothing",
    "migrate": "tells which schema there is; to open the database has migrated it",
    "message.send": "the message names who asked for it, and its acceptance is noted",
    "operator.sessions": "reads",
    "segment.count": "counts, and changes nothing",
    "segment.sample": "reads",
    "status": "reads",
    "template.preview": "renders, and changes nothing",
    "version": "reads",
}
"""The verbs that leave no entry in the audit log by themselves, and why. All others do."""
_NAMES = ("channel", "key", "code", "id", "msgid", "name", "userid", "path")


async def call(system: AppContext, intake: Intake, name: str, params: object) -> object:
    """Run the verb. Raises UmsError, Invalid("verb_unknown") among them."""
    verb, given = _prepared(name, params)
    with audit_log.tracing() as by:
        answer = await verb.run(system, intake, given)
        if name not in UNAUDITED:
            await audit_gate.settle(system.database, by, name, _subject(given))
    return answer


async def follow(system: AppContext, name: str, params: object) -> AsyncGenerator[object]:
    """Run a verb that tells its steps as they go. Raises as `call` does, before the first."""
    verb, given = _prepared(name, params)
    if verb.steps is None:
        raise Invalid("verb_unknown", name=name[:40])
    with audit_log.tracing() as by:
        steps = await verb.steps(system, given)
        await audit_gate.settle(system.database, by, name, _subject(given))
    return steps


def _prepared(name: str, params: object) -> tuple[Verb, Any]:
    verb = VERBS.get(name)
    if verb is None:
        raise Invalid("verb_unknown", name=name[:40])
    try:
        given = msgspec.convert(params, verb.params)
    except msgspec.ValidationError as error:
        raise Invalid("misfit", field=name, detail=retell(str(error))) from None
    _refuse_unstored(name, given)
    return verb, given


def _subject(given: Struct) -> str:
    """What names the things that a verb is about."""
    named = [str(getattr(given, name, None) or "") for name in _NAMES]
    return " ".join(filter(None, named))


def _refuse_unstored(name: str, given: Struct) -> None:
    """PostgreSQL cannot so much as look for a text with a null character, nor either database for
    a number beyond 64 bits."""
    for value in msgspec.structs.asdict(given).values():
        parts: list[object] = value if isinstance(value, list) else [value]
        for part in parts:
            if isinstance(part, str) and "\x00" in part:
                raise Invalid("control_characters", field=name)
            if isinstance(part, int) and not is_stored(part):
                raise Invalid(
                    "misfit", field=name, detail=Detail("whole_number", least=LEAST, most=MOST_ID)
                )
