"""Recipients that are named in the form of a message: pasted lines, and an uploaded list.

A list's file is kept from the first time that it came, so that no error asks for it again.
"""

from contextlib import suppress
from typing import Any, Final

from litestar.datastructures import UploadFile
from msgspec.structs import replace

from ums.console.forms import whole
from ums.console.messages.compose_form import came_as_list, doubtful, sources_of
from ums.console.rendering import AnyRequest
from ums.core.context.directory import Channel
from ums.core.messages import recipient_sheet, recipient_sheets
from ums.core.messages.drafts import Draft
from ums.core.messages.missing_variables import lacks_of
from ums.core.messages.new_message import MessageRequest, Recipient
from ums.core.messages.recipient_sheets import KeptList
from ums.core.templates import inline
from ums.core.templates.recipient_data import attributes_of
from ums.errors import Invalid, UmsError

FIELDS: Final = {"list": "", "list_kept": "", "list_name": "", "list_size": "", "skip_wrong": ""}
"""The fields of a list in the form, beside those that say what to leave out."""


async def listed(
    request: AnyRequest, system: Any, operator_id: int, fields: dict[str, Any], draft: Draft | None
) -> list[Recipient]:
    """The recipients of the list that was uploaded, now or before, else of the one that the draft
    has already. `fields` gets what the form shows of it. Raises Invalid."""
    try:
        kept = await _kept(request, system, operator_id, fields)
        if kept is None or fields["to"] != "list":
            return _of_draft(fields, draft)
        named = fields["with"] == "template" or inline.is_needed(sources_of(fields))
        found = await recipient_sheet.read_file(system, kept.file, with_variables=named)
        if found.wrong and not fields["skip_wrong"]:
            rows = ", ".join(found.wrong[: recipient_sheet.TOLD])
            raise Invalid("list_wrong", count=len(found.wrong), rows=rows)
    except UmsError as error:
        error.values["field"] = "list"
        raise
    return found.recipients


def _of_draft(fields: dict[str, Any], draft: Draft | None) -> list[Recipient]:
    if fields["to"] != "list":
        return []
    if draft is not None and came_as_list(draft.content):
        return draft.content.recipients
    raise Invalid("missing", field="list")


async def hold(request: AnyRequest, system: Any, operator_id: int, fields: dict[str, Any]) -> None:
    """Keep an uploaded list for the form to name; one that cannot be read has to come again."""
    with suppress(Invalid):
        await _kept(request, system, operator_id, fields)


async def _kept(
    request: AnyRequest, system: Any, operator_id: int, fields: dict[str, Any]
) -> KeptList | None:
    file: Any = (await request.form()).get("list")
    id = whole(fields["list_kept"])
    fields |= {"list_kept": "", "list_name": "", "list_size": ""}
    if isinstance(file, UploadFile) and file.filename:
        kept = await recipient_sheets.keep(system, operator_id, file.file, file.filename)
    elif id is not None:
        kept = await recipient_sheets.find(system, operator_id, id)
    else:
        return None
    fields |= {"list_kept": str(kept.id), "list_name": kept.name, "list_size": f"{kept.size:,}"}
    return kept


async def userids_of(system: Any, fields: dict[str, Any]) -> frozenset[str]:
    """The userids among what looks like a mistyped address."""
    unsure = doubtful(fields["people"]) if fields["to"] == "people" else []
    if not unsure:
        return frozenset()
    async with system.database.read() as tx:
        return frozenset(await attributes_of(tx, unsure))


async def complete(
    system: Any, channel: Channel, fields: dict[str, Any], content: MessageRequest
) -> MessageRequest:
    """The message without the recipients who lack a variable, where that was chosen. Raises
    Invalid where it was not; `fields` gets the table of what is lacking."""
    lacks = await lacks_of(system, channel, content)
    fields["lacks"] = lacks.variables
    if not lacks.places:
        return content
    if not fields["skip_lacking"]:
        raise Invalid("recipients_lack", field="skip_lacking", count=f"{len(lacks.places):,}")
    left = [one for i, one in enumerate(content.recipients) if i not in lacks.places]
    if not left:
        raise Invalid("recipients_all_lack", field="skip_lacking")
    return replace(content, recipients=left)
