"""The form of a message as it was submitted: read part by part, so that all errors are told."""

from typing import Any, Final

from msgspec.structs import replace

from ums import clock
from ums.console.forms import lists
from ums.console.messages import recipients
from ums.console.messages.attachments import attached, kept_files
from ums.console.messages.compose_form import content_of, sources_of, variables_of, whom
from ums.console.rendering import AnyRequest
from ums.console.time_zones import entered
from ums.core.common.field_errors import ErrorList
from ums.core.common.timestamps import milliseconds
from ums.core.context.directory import Channel
from ums.core.messages import compose
from ums.core.messages.drafts import Draft
from ums.core.messages.new_message import Among, MessageRequest, Recipient
from ums.core.messages.scheduling import check_start, check_times
from ums.core.templates import compile_process, inline
from ums.errors import Invalid, UmsError

EMPTY: Final = {
    "channel": "",
    "to": "people",
    "people": "",
    "tags": "",
    "segment": "",
    "with": "html",
    "template": "",
    "variables": "",
    "subject": "",
    "body": "",
    "reply_to": "",
    "starts": "",
    "zone": "UTC",
    "priority": "",
    "files": "",
    **recipients.FIELDS,
    "skip_bad": "",
    "skip_lacking": "",
    "kept": [],
    "lacks": [],
}
# The fields of `core` by the form's names.
FIELDS: Final = {
    "recipients": "people",
    "audience": "tags",
    "html": "body",
    "text": "body",
    "mjml": "body",
    "starts_at": "starts",
    "attachments": "files",
    "file": "files",
}
_WHOM: Final = frozenset({"recipients", "audience"})
_CONTENT: Final = frozenset({"subject", "html", "text"})


async def typed(request: AnyRequest) -> dict[str, Any]:
    """The fields of the form as they were sent, whatever is in them."""
    given = await lists(request)
    fields: dict[str, Any] = {
        name: (given.get(name) or [""])[-1] for name in EMPTY if name not in ("kept", "lacks")
    }
    return {**fields, "kept": given.get("kept", [])}


async def read(
    request: AnyRequest,
    system: Any,
    operator_id: int,
    channel: Channel,
    fields: dict[str, Any],
    draft: Draft | None,
) -> tuple[MessageRequest, list[UmsError]]:
    """The message, and all that is wrong with it, with the names of the form's fields.

    `fields` gets what the form shows of uploaded files and of missing variables.
    """
    errors = ErrorList()
    with errors.collecting():
        fields["kept"] = await attached(request, system, channel, fields["kept"])
    content, moot = await _content(request, system, operator_id, fields, draft, errors)
    with errors.collecting():
        if not moot:
            content = await recipients.complete(system, channel, fields, content)
    if any(_place(error) == "skip_lacking" for error in errors):
        moot.add("variable_missing")
    known = await compose.errors_of(system, channel, content)
    errors += [error for error in known if not {_place(error), error.reason} & moot]
    with errors.collecting():
        if not errors:
            content = await _complete(system, channel, fields, content, draft)
    return content, [_at_the_form(error) for error in errors]


async def _content(
    request: AnyRequest,
    system: Any,
    operator_id: int,
    fields: dict[str, Any],
    draft: Draft | None,
    errors: ErrorList,
) -> tuple[MessageRequest, set[str]]:
    """What was typed, and the fields and reasons of which the errors are in `errors` already."""
    moot: set[str] = set(_WHOM)
    named: tuple[list[Recipient], Among | None] = ([], None)
    with errors.collecting():
        listed = await recipients.listed(request, system, operator_id, fields, draft)
        named = whom(fields, listed, await recipients.userids_of(system, fields))
        moot.clear()
    starts = None
    with errors.collecting():
        starts = entered(fields["starts"], fields["zone"], "starts")
        if starts is not None:
            check_start(milliseconds(starts, "starts_at"), clock.now())
    content = content_of(fields, kept_files(fields["kept"]), starts, *named, errors)
    if _is_inline(fields):
        errors += await compile_process.errors_of(system, sources_of(fields))
        with errors.collecting():
            variables_of(fields)
        moot.add("variables_alone")
    if _is_inline(fields) or (fields["with"] == "template" and content.template is None):
        moot |= _CONTENT
    return content, moot


def _is_inline(fields: dict[str, Any]) -> bool:
    """Whether a template of the message's own is written in the form."""
    return fields["with"] != "template" and inline.is_needed(sources_of(fields))


async def _complete(
    system: Any,
    channel: Channel,
    fields: dict[str, Any],
    content: MessageRequest,
    draft: Draft | None,
) -> MessageRequest:
    """The message as it would be sent. Raises UmsError for what only the whole of it shows."""
    if _is_inline(fields):
        old = draft.content.template if draft is not None else None
        id = await inline.keep(system, channel, sources_of(fields), old)
        content = replace(
            content, template=id, subject=None, html=None, text=None, variables=variables_of(fields)
        )
        content = await recipients.complete(system, channel, fields, content)
    check_times(await compose.request_of(system, channel, content), clock.now())
    return content


def _at_the_form(error: UmsError) -> UmsError:
    """What programs are told to give one of is here a field that was left empty."""
    if error.reason in ("nobody", "one_of"):
        error = Invalid("missing", field=error.values["field"])
    if _place(error):
        error.values["field"] = _place(error)
    return error


def _place(error: UmsError) -> str:
    """`recipients[3].address` stands in the field of all recipients, and so on."""
    return str(error.values.get("field", "")).partition("[")[0].partition(".")[0]
