"""What an administrator settles for one channel; kept as JSON with the channel."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Struct

from ums.bounds import said
from ums.core.tables.states import EventType

TIME: Final = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
MOST: Final = 1_000_000
LONGEST_CAP: Final = 31 * 24  # hours of a frequency cap; older contacts are forgotten
Zone = Annotated[str, said("A name of IANA's.", minLength=1)]
Count = Annotated[int, said(minimum=0, maximum=MOST)]
Statuses = Annotated[tuple[Annotated[int, said(minimum=0, maximum=8)], ...], said(uniqueItems=True)]


class QuietHours(Struct, frozen=True, forbid_unknown_fields=True):
    """A time of the day, in the channel's zone, in which its messages do not go out."""

    start: Annotated[str, said("HH:MM", pattern=TIME)]
    end: Annotated[
        str, said("HH:MM, not that of `start`; before it it is on the next day.", pattern=TIME)
    ]
    action: Literal["refuse", "delay"]


class FrequencyCap(Struct, frozen=True, forbid_unknown_fields=True):
    """At most `count` messages to one address within `hours`."""

    count: Annotated[int, said(minimum=1, maximum=MOST)]
    hours: Annotated[float, said(exclusiveMinimum=0, maximum=LONGEST_CAP)]


class ChannelPolicy(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The rules of one channel."""

    zone: Zone = "UTC"  # IANA name of the time zone its days and hours go by
    approval: bool = False  # another person has to approve what comes by API
    approval_by_hand: bool = False  # and what is sent from the console or by command
    # Recipients from which on; descriptions of users always count as many.
    approval_from: Annotated[int, said(minimum=1, maximum=MOST)] = 1
    word_filter: bool = True
    # Addresses under the bind id `all` are used by every channel. Who may replace or remove them:
    key_replaces_shared: bool = True  # the channel's own key, as in the hosted UMS
    bound_replace_shared: bool = False  # operators and tokens that are bound to channels
    quiet_hours: QuietHours | None = None
    frequency_cap: FrequencyCap | None = None
    broadcasts_per_day: Count = 10  # 0: as many as it likes
    requests_per_second: Count = 100  # 0: as many as it likes
    callbacks: bool = True
    statuses: Statuses = tuple(EventType)  # the records it wants to be told
    submitted_is_delivered: bool = False


NO_RULES = ChannelPolicy()


def read_rules(text: str) -> ChannelPolicy:
    return msgspec.json.decode(text, type=ChannelPolicy)
