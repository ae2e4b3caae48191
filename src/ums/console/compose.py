"""Between the form of a message and the message that `core` takes."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ums.core.outgoing import MAX_RECIPIENTS, Among, Attachment, Outgoing, Recipient
from ums.errors import Invalid
from ums.senders.address import BadAddress, clean


def content_of(
    fields: dict[str, Any], files: list[Attachment], starts_at: datetime | None
) -> Outgoing:
    """What was typed. Raises Invalid."""
    recipients, audience = _whom(fields)
    own = fields["with"] != "template"
    html, text = (fields["with"] == kind and fields["body"] for kind in ("html", "text"))
    return Outgoing(
        recipients=recipients,
        audience=audience,
        subject=fields["subject"].strip() if own else None,
        html=(html or None) if own else None,
        text=(text or None) if own else None,
        template=None if own else _number(fields["template"], "template"),
        variables={} if own else _variables(fields["variables"]),
        reply_to=[one for one in fields["reply_to"].replace(",", " ").split() if one],
        attachments=files,
        starts_at=starts_at,
        priority=_priority(fields["priority"]),
    )


def _whom(fields: dict[str, Any]) -> tuple[list[Recipient], Among | None]:
    if fields["to"] == "everyone":
        return [], Among(everyone=True)
    if fields["to"] == "tags":
        words = fields["tags"].replace("，", ",").split(",")
        return [], Among(tags=[word.strip() for word in words if word.strip()])
    if fields["to"] == "segment":
        return [], Among(segment=_number(fields["segment"], "segment"))
    lines = fields["people"].replace(",", "\n").replace(";", "\n").split("\n")
    people = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if len(people) > MAX_RECIPIENTS:
        raise Invalid("too_many", field="people", limit=MAX_RECIPIENTS)
    return [_person(one) for one in people], None


def _person(text: str) -> Recipient:
    """An address, if it is one; else a userid."""
    try:
        return Recipient(address=clean(text)) if "@" in text else Recipient(userid=text)
    except BadAddress:
        return Recipient(userid=text)


def _number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 19 and int(text)):
        raise Invalid("missing", field=field)
    return int(text)


def _priority(text: str) -> Any:
    return int(text) if text in ("1", "2", "3") else 2


def _variables(text: str) -> dict[str, Any]:
    """`name = value`, one a line."""
    found: dict[str, Any] = {}
    for line in text.split("\n"):
        if line.strip():
            name, mark, value = line.partition("=")
            if not mark:
                raise Invalid("misfit", field="variables", detail="name = value, one a line")
            found[name.strip()] = value.strip()
    return found


def fields_of(content: Outgoing, zone: str) -> dict[str, Any]:
    """The form of a draft, as it was left."""
    among = content.audience or Among()
    kind = "people"
    if content.audience is not None:
        kind = "everyone" if among.everyone else "tags" if among.tags else "segment"
    starts = content.starts_at
    own = "text" if content.text is not None else "html"
    return {
        "to": kind,
        "people": "\n".join(one.userid or one.address or "" for one in content.recipients),
        "tags": ", ".join(among.tags),
        "segment": among.segment or "",
        "with": "template" if content.template is not None else own,
        "template": content.template or "",
        "variables": "\n".join(f"{name} = {value}" for name, value in content.variables.items()),
        "subject": content.subject or "",
        "body": content.html or content.text or "",
        "reply_to": ", ".join(content.reply_to),
        "starts": starts.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M") if starts else "",
        "zone": zone,
        "priority": str(content.priority),
        "kept": [f"{file.url} {file.name}" for file in content.attachments],
    }
