"""The audience of a message, as it is stored with the message."""

import msgspec
from msgspec import Raw, Struct

from ums.core.tables.states import Priority


class Audience(Struct, frozen=True, omit_defaults=True):
    """Who is to be reached; stored with the message. All empty: everyone.

    `variables` are the recipients' own, for a template: an object, or null, for each of `addresses`
    and then each of `userids`; empty where nobody has any.
    """

    addresses: list[str] = []
    tags: list[str] = []
    userids: list[str] = []
    segment: int | None = None
    variables: list[Raw] = []

    @property
    def direct(self) -> bool:
        return bool(self.addresses)

    @property
    def known_size(self) -> int:
        """How many it is, as far as that can be told before it is expanded."""
        return 0 if self.described else len(self.addresses) + len(self.userids)

    @property
    def everyone(self) -> bool:
        return not (self.addresses or self.tags or self.userids or self.segment is not None)

    @property
    def described(self) -> bool:
        """Whether it is told what its users are like, and not who they are: it may be a million."""
        return self.everyone or bool(self.tags) or self.segment is not None

    def priority(self, asked: int | None) -> int:
        """What was asked for; unless anything was, what is for many goes behind what is for some,
        so that a mailing makes no code to log in with wait."""
        return asked or (Priority.BULK if self.described else Priority.NORMAL)


def read_audience(text: str) -> Audience:
    """Decode a stored audience."""
    return msgspec.json.decode(text, type=Audience)
