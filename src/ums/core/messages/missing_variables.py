"""Which of a message's named recipients lack a value for a variable of its template."""

from msgspec import Struct

from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.messages.new_message import MessageRequest
from ums.core.messages.template_content import newest
from ums.core.templates.recipient_data import attributes_of


class RecipientLack(Struct, frozen=True):
    """A variable, how many recipients have no value for it, and the first of them."""

    name: str
    count: int
    example: str


class Lacks(Struct, frozen=True):
    """What is lacking, by variable, and the places of the recipients who lack something."""

    variables: list[RecipientLack]
    places: frozenset[int]


async def lacks_of(system: AppContext, channel: Channel, content: MessageRequest) -> Lacks:
    """Look at each recipient who is named. Raises Refused for a template that is none."""
    if content.template is None or not content.recipients:
        return Lacks([], frozenset())
    version = await newest(system, channel, content.template)
    async with system.database.read() as tx:
        known = await attributes_of(tx, [one.userid for one in content.recipients if one.userid])
    found: dict[str, list[int]] = {}
    for place, one in enumerate(content.recipients):
        if one.userid and one.userid not in known:
            continue  # who is not there gets no mail, and the delivery says so
        own = {name: value for name, value in one.variables.items() if value is not None}
        values = {**content.variables, **own}
        for name in version.lacking(values, known.get(one.userid or "", {})):
            found.setdefault(name, []).append(place)
    names = [one.userid or one.address or "" for one in content.recipients]
    variables = [
        RecipientLack(name, len(places), names[places[0]]) for name, places in found.items()
    ]
    return Lacks(variables, frozenset(place for places in found.values() for place in places))
