"""What a sender may send in a time."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System
from ums.console.forms import Form, given, refused, whole
from ums.console.rendering import AnyRequest, go, page
from ums.core.common.field_errors import Check, all_of
from ums.core.senders import quota_ledger, senders, warm_up
from ums.core.senders.quota_ledger import MOST_CAPS
from ums.core.senders.senders import SenderInfo
from ums.errors import Invalid, UmsError
from ums.mail.provider_presets import preset_of
from ums.mail.send_limits import SendLimit
from ums.mail.warm_up_plan import WarmUp

LENGTHS: Final = (1, 60, 900, 3600, 86_400, 2_592_000)  # seconds that are offered
SPARE: Final = 2  # empty rows
_OF_TIME: Final = {"cap_reset": "reset", "cap_seconds": "seconds"}  # the field of each reason
_ROW: Final = ("count", "seconds", "of", "reset")


@get("/senders/{code:str}/caps", scope="senders:write", channels="all")
async def edit_caps(request: AnyRequest, system: System, code: FromPath[str]) -> Response[str]:
    """The caps that are set; with `?preset` those that its provider is known to have."""
    sender = await senders.show(system, code)
    preset = preset_of(sender.host)
    taken = preset is not None and "preset" in request.query_params
    caps = preset.caps if preset is not None and taken else sender.caps
    return _form(request, sender, Form(_values(caps, sender.urgent_reserve_percent)))


def _form(request: AnyRequest, sender: SenderInfo, form: Form, status: int = 200) -> Response[str]:
    return page(
        request,
        "senders/caps.html",
        status=status,
        sender=sender,
        preset=preset_of(sender.host),
        form=form,
        rows=range(sum(name.startswith("count_") for name in form.values)),
        lengths=LENGTHS,
    )


def _values(caps: Sequence[SendLimit], share: int) -> dict[str, Any]:
    values: dict[str, Any] = {"urgent_reserve_percent": share}
    for row in range(min(len(caps) + SPARE, MOST_CAPS)):
        cap = caps[row] if row < len(caps) else None
        for name in _ROW:
            values[f"{name}_{row}"] = getattr(cap, name) if cap else ""
        values[f"seconds_{row}"] = cap.seconds if cap else 86_400
    return values


@post("/senders/{code:str}/caps", scope="senders:write", channels="all")
async def change_caps(request: AnyRequest, system: System, code: FromPath[str]) -> Response[str]:
    """Rows without a number are no caps."""
    sender, fields = await senders.show(system, code), await given(request)
    try:
        for check in _checks(fields):
            check()
        caps = [_cap(fields, row) for row in _rows(fields)]
        changes = {"caps": caps, "urgent_reserve_percent": _share(fields)}
        await senders.edit(system, code, changes)
    except UmsError as error:
        form = refused(request, fields, error, others=all_of(_checks(fields)))
        return _form(request, sender, form, error.status)
    return go(f"/senders/{code}", "senders.did_caps")


def _rows(fields: dict[str, str]) -> list[int]:
    return [row for row in range(MOST_CAPS) if fields.get(f"count_{row}", "").strip()]


def _checks(fields: dict[str, str]) -> list[Check]:
    """A check for each field."""
    return [
        *(partial(_count, fields, row) for row in _rows(fields)),
        *(partial(_check_time, fields, row) for row in _rows(fields)),
        lambda: _share(fields),
        lambda: _check_twice(fields),
    ]


def _count(fields: dict[str, str], row: int) -> int:
    return _number(fields, f"count_{row}", 1, 10**9)


def _seconds(fields: dict[str, str], row: int) -> int:
    return _number(fields, f"seconds_{row}", 1, LENGTHS[-1])


def _share(fields: dict[str, str]) -> int:
    return _number(fields, "urgent_reserve_percent", 0, quota_ledger.MOST_KEPT)


def _check_time(fields: dict[str, str], row: int) -> None:
    """Raises Invalid for a time of this row that is none; the count may be wrong as well."""
    try:
        quota_ledger.check_cap(_cap({**fields, f"count_{row}": "1"}, row))
    except Invalid as error:
        if error.reason in _OF_TIME:
            error.values["field"] = f"{_OF_TIME[error.reason]}_{row}"
        raise


def _check_twice(fields: dict[str, str]) -> None:
    """Raises Invalid beside the second of two rows for the same time."""
    seen = set[tuple[str, str]]()
    for row in _rows(fields):
        time = fields.get(f"seconds_{row}", ""), _reset(fields, row)
        if time in seen:
            raise Invalid("caps_twice", field=f"seconds_{row}")
        seen.add(time)


def _reset(fields: dict[str, str], row: int) -> str:
    return " ".join(fields.get(f"reset_{row}", "").split())


def _cap(fields: dict[str, str], row: int) -> SendLimit:
    of: Any = "recipients" if fields.get(f"of_{row}") == "recipients" else "mails"
    return SendLimit(
        count=_count(fields, row),
        seconds=_seconds(fields, row),
        of=of,
        reset=_reset(fields, row),
    )


def _number(fields: dict[str, str], name: str, least: int, most: int) -> int:
    number = whole(fields.get(name, "").strip(), 10)
    if number is None or not least <= number <= most:
        raise Invalid("not_in_range", field=name, least=least, most=most)
    return number


@get("/senders/{code:str}/warm-up", scope="senders:write", channels="all")
async def edit_warm_up(request: AnyRequest, system: System, code: FromPath[str]) -> Response[str]:
    plan = await warm_up.show(system, code)
    values = {"start": 50, "growth": 50, "target": "", "zone": "Asia/Shanghai"}
    if plan is not None:
        values = {name: getattr(plan, name) for name in values}
    return await _warm_form(request, system, code, Form(values))


async def _warm_form(
    request: AnyRequest, system: Any, code: str, form: Form, status: int = 200
) -> Response[str]:
    return page(
        request,
        "senders/warm_up.html",
        status=status,
        sender=await senders.show(system, code),
        warming=await warm_up.show(system, code),
        form=form,
    )


@post("/senders/{code:str}/warm-up", scope="senders:write", channels="all")
async def begin_warm_up(request: AnyRequest, system: System, code: FromPath[str]) -> Response[str]:
    fields = {"start": "", "growth": "", "target": "", "zone": "", **await given(request)}
    # What is no number is 0, which none of them may be.
    numbers = {n: whole(fields[n].strip(), 10) or 0 for n in ("start", "growth", "target")}
    plan = WarmUp(**numbers, zone=fields["zone"].strip())
    try:
        await warm_up.begin(system, code, plan)
    except UmsError as error:
        form = refused(request, fields, error, others=warm_up.errors_of(plan))
        return await _warm_form(request, system, code, form, error.status)
    return go(f"/senders/{code}", "senders.did_warm_up")


@post("/senders/{code:str}/warm-up/end", scope="senders:write", channels="all")
async def end_warm_up(system: System, code: FromPath[str]) -> Response[str]:
    await warm_up.end(system, code)
    return go(f"/senders/{code}", "senders.did_warm_up_end")


handlers = [edit_caps, change_caps, edit_warm_up, begin_warm_up, end_warm_up]
