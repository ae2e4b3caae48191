"""The audit log as a page and as a file."""

from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.response import Stream

from ums.console.dependencies import System
from ums.console.export import saved_as, stream_csv
from ums.console.forms import Form, sort_of
from ums.console.i18n import WORDS, Words, language_of
from ums.console.rendering import AnyRequest, go, page
from ums.core.audit import audit_log as audit
from ums.core.audit import audit_proof
from ums.core.audit.audit_log import AuditEntry
from ums.core.common.sorting import ByTime
from ums.db import to_json

_FILTERS: Final = ("actor", "action", "subject")
_COLUMNS: Final = (
    "id",
    "at",
    "actor",
    "address",
    "action",
    "subject",
    "times",
    "detail",
    "before",
    "after",
)


@get("/audit", scope="audit:read", channels="all")
async def audit_log(request: AnyRequest, system: System) -> Response[str]:
    """Who did what, from where, with what was before and after."""
    sort = sort_of(request, ByTime, "-created_at")
    asked = _asked(request)
    after = request.query_params.get("after")
    async with system.database.read() as tx:
        found = await audit.list_audit(tx, **_wanted(asked), sort=sort, after=after, limit=50)
    return page(
        request,
        "administration/audit.html",
        found=found,
        sort=sort,
        form=Form(asked),
        filtered=any(asked.values()),
        changes=changes,
        action_words=partial(action_words, language=language_of(request)),
        chain=await audit_proof.show(system),
    )


@get("/audit.csv", scope="audit:read", channels="all", recent="/audit")
async def export_audit(request: AnyRequest, system: System) -> Stream:
    """The entries that the page's filters leave, the oldest first."""
    asked = _asked(request)
    audit.add_detail(", ".join(f"{name}={value}" for name, value in asked.items() if value))
    parts = _parts(system, _wanted(asked))
    return await stream_csv(request, "audit.csv", _COLUMNS, parts)


def action_words(action: str, language: str) -> str:
    """`channel.create` for people; "" for an action that has no words."""
    head, _, tail = action.partition(".")
    noun, verb = f"audit.noun_{head}", f"audit.verb_{tail}"
    if noun not in WORDS or verb not in WORDS:
        return ""
    words = Words(language)
    return words("audit.action", noun=words(noun), verb=words(verb))


def changes(entry: AuditEntry) -> Iterator[tuple[str, str, str]]:
    """(field, as it was, as it is) of what changed; "" where there was or is none."""
    before, after = entry.before or {}, entry.after or {}
    for field in {**before, **after}:
        yield field, _text(before.get(field)), _text(after.get(field))


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def _asked(request: AnyRequest) -> dict[str, str]:
    return {name: request.query_params.get(name, "") for name in _FILTERS}


def _wanted(asked: dict[str, str]) -> dict[str, Any]:
    return {name: value.strip() or None for name, value in asked.items()}


async def _parts(system: Any, wanted: dict[str, Any]) -> AsyncGenerator[list[list[object]]]:
    after: str | None = None
    while True:
        async with system.database.read() as tx:
            found = await audit.list_audit(tx, **wanted, sort="created_at", after=after)
        yield [_cells(one) for one in found.items]
        after = found.next
        if after is None:
            return


def _cells(entry: AuditEntry) -> list[object]:
    return [_text(getattr(entry, name)) for name in _COLUMNS]


@post("/audit/verify", scope="audit:read", channels="all")
async def verify_audit(system: System) -> Response[str]:
    proof = await audit_proof.verify(system)
    return go("/audit", "administration.did_verify" if proof.ok else "")


@post("/audit/checkpoint", scope="audit:read", channels="all")
async def save_checkpoint(system: System) -> Response[bytes]:
    """A file to be kept elsewhere."""
    text = msgspec.json.format(msgspec.json.encode(await audit_proof.checkpoint(system)))
    headers = saved_as("audit-checkpoint.json")
    return Response(text, media_type="application/json", headers=headers, status_code=200)


handlers = [audit_log, export_audit, verify_audit, save_checkpoint]
