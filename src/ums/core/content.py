"""What a message says, as it is stored with it."""

from msgspec import Struct


class Content(Struct, frozen=True, omit_defaults=True):
    """What a stored message says; its files lie in their own table."""

    subject: str
    text: str
