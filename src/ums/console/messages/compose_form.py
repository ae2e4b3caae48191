"""Between the form of a message and the message that `core` takes."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from ums.console.forms import parted
from ums.console.pasted_lines import refuse_lines
from ums.core.common.field_errors import ErrorList
from ums.core.common.identifiers import is_userid
from ums.core.messages.new_message import Among, Attachment, MessageRequest, Recipient
from ums.core.templates.compiler import Sources
from ums.errors import Detail, Invalid
from ums.mail.addresses import BadAddress, clean

MAX_PEOPLE: Final = 1000  # that are typed; more come as a list


def content_of(
    fields: dict[str, Any],
    files: list[Attachment],
    starts_at: datetime | None,
    recipients: list[Recipient],
    audience: Among | None,
    errors: ErrorList,
) -> MessageRequest:
    """What was typed, for those who are `whom`. What is wrong is added to `errors` and left out."""
    own, template, variables = fields["with"] != "template", None, {}
    if not own:
        with errors.collecting():
            template = _number(fields["template"], "template")
        with errors.collecting():
            variables = variables_of(fields)
    written = sources_of(fields)
    return MessageRequest(
        recipients=recipients,
        audience=audience,
        subject=fields["subject"].strip() if own else None,
        html=written.html if own else None,
        text=written.text if own else None,
        template=template,
        variables=variables,
        reply_to=[one for one in fields["reply_to"].replace(",", " ").split() if one],
        attachments=files,
        starts_at=starts_at,
        priority=_priority(fields["priority"]),
    )


def whom(
    fields: dict[str, Any], listed: list[Recipient], userids: Collection[str]
) -> tuple[list[Recipient], Among | None]:
    """Those who are named, here or in the uploaded list, or those who are described; `userids` are
    those of `doubtful` that somebody has. Raises Invalid."""
    if fields["to"] == "list":
        return listed, None
    if fields["to"] == "everyone":
        return [], Among(everyone=True)
    if fields["to"] == "tags":
        return [], Among(tags=parted(fields["tags"]))
    if fields["to"] == "segment":
        return [], Among(segment=_number(fields["segment"], "segment"))
    return _people(fields["people"], userids, skip=bool(fields.get("skip_bad"))), None


def _people(text: str, userids: Collection[str], *, skip: bool) -> list[Recipient]:
    """Those who are named, one a line or between commas; the lines that name nobody are left out
    if `skip`. Raises Invalid."""
    found: dict[str, Recipient] = {}
    bad: list[tuple[int, str]] = []
    for number, one in _named(text):
        person = _person(one, userids)
        if person is None:
            bad.append((number, one))
        else:
            found[one] = person
    if len(found) > MAX_PEOPLE:
        raise Invalid("too_many", field="people", limit=MAX_PEOPLE)
    if not skip:
        refuse_lines(bad, field="people", reason="people_wrong")
    return list(found.values())


def _named(text: str) -> Iterator[tuple[int, str]]:
    """What stands between commas and line ends, with the number of its line."""
    for number, line in enumerate(text.split("\n"), 1):
        for one in re.split("[,;，；]", line):
            if one.strip():
                yield number, one.strip()


def doubtful(text: str) -> list[str]:
    """What is no address but has an @: a mistyped one, unless it is somebody's userid."""
    found = dict.fromkeys(one for _, one in _named(text) if "@" in one and _address(one) is None)
    return [one for one in found if is_userid(one)][:MAX_PEOPLE]


def _person(text: str, userids: Collection[str]) -> Recipient | None:
    """An address, if it is one; else a userid; None for what is neither."""
    address = _address(text) if "@" in text else None
    if address is not None:
        return Recipient(address=address)
    is_one = text in userids if "@" in text else is_userid(text)
    return Recipient(userid=text) if is_one else None


def _address(text: str) -> str | None:
    try:
        return clean(text)
    except BadAddress:
        return None


def _number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 19 and int(text)):
        raise Invalid("missing", field=field)
    return int(text)


def _priority(text: str) -> Any:
    return int(text) if text in ("1", "2", "3") else None


def sources_of(fields: dict[str, Any]) -> Sources:
    """What was written here."""
    kind, body = fields["with"], fields["body"] or None
    return Sources(
        subject=fields["subject"].strip(),
        html=body if kind == "html" else None,
        text=body if kind == "text" else None,
        mjml=body if kind == "mjml" else None,
    )


def variables_of(fields: dict[str, Any]) -> dict[str, Any]:
    """`name = value`, one a line. Raises Invalid."""
    found: dict[str, Any] = {}
    for line in fields["variables"].split("\n"):
        if line.strip():
            name, mark, value = line.partition("=")
            if not mark:
                raise Invalid("misfit", field="variables", detail=Detail("lines_of_values"))
            found[name.strip()] = value.strip()
    return found


def fields_of(content: MessageRequest, zone: str, written: Sources | None = None) -> dict[str, Any]:
    """The form of a draft, as it was left; `written` is its template, where that is its own."""
    among = content.audience or Among()
    kind = "list" if came_as_list(content) else "people"
    if content.audience is not None:
        kind = "everyone" if among.everyone else "tags" if among.tags else "segment"
    starts = content.starts_at
    own = written or Sources(content.subject or "", content.html, content.text)
    listed = content.template is not None and written is None
    return {
        "to": kind,
        "people": "" if kind == "list" else "\n".join(_name(one) for one in content.recipients),
        "tags": ", ".join(among.tags),
        "segment": among.segment or "",
        "with": "template" if listed else _kind(own),
        "template": content.template if listed else "",
        "variables": "\n".join(f"{name} = {value}" for name, value in content.variables.items()),
        "subject": own.subject,
        "body": own.mjml or own.html or own.text or "",
        "reply_to": ", ".join(content.reply_to),
        "starts": starts.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M") if starts else "",
        "zone": zone,
        "priority": str(content.priority or ""),
        "kept": [f"{file.url} {file.name}" for file in content.attachments],
    }


def _kind(own: Sources) -> str:
    return "mjml" if own.mjml is not None else "text" if own.text is not None else "html"


def came_as_list(content: MessageRequest) -> bool:
    """Whether the recipients are more than the form's lines can say."""
    many = len(content.recipients) > MAX_PEOPLE
    return many or any(one.variables for one in content.recipients)


def _name(one: Recipient) -> str:
    return one.userid or one.address or ""
