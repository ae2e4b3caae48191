"""What an administrator settles for one channel; kept as JSON with the channel."""

from typing import Literal

import msgspec
from msgspec import Struct


class QuietHours(Struct, frozen=True, forbid_unknown_fields=True):
    """A time of the day, in the channel's zone, in which its messages do not go out."""

    start: str  # HH:MM
    end: str  # HH:MM; before `start` it is on the next day
    action: Literal["refuse", "delay"]


class FrequencyCap(Struct, frozen=True, forbid_unknown_fields=True):
    """At most `count` messages to one address within `hours`."""

    count: int
    hours: float


class ChannelPolicy(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The rules of one channel."""

    zone: str = "UTC"  # IANA name of the time zone its days and hours go by
    approval: bool = False  # another person has to approve what comes by API
    approval_by_hand: bool = False  # and what is sent from the console or by command
    approval_from: int = 1  # recipients from which on; descriptions of users always count as many
    word_filter: bool = True
    # Addresses under the bind id `all` are used by every channel. Who may replace or remove them:
    key_replaces_shared: bool = True  # the channel's own key, as in the hosted UMS
    bound_replace_shared: bool = False  # operators and tokens that are bound to channels
    quiet_hours: QuietHours | None = None
    frequency_cap: FrequencyCap | None = None
    broadcasts_per_day: int = 10  # 0: as many as it likes
    requests_per_second: int = 100  # 0: as many as it likes
    callbacks: bool = True
    statuses: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8)  # the records it wants to be told
    submitted_is_delivered: bool = False


NO_RULES = ChannelPolicy()
LONGEST_CAP = 31 * 24  # hours of a frequency cap; contacts that are older are forgotten


def read_rules(text: str) -> ChannelPolicy:
    return msgspec.json.decode(text, type=ChannelPolicy)
