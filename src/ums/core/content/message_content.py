"""What a message says, as it is stored with it."""

from typing import Any

from msgspec import Struct

from ums.mail.custom_headers import NO_EXTRAS, CustomHeaders


class Content(Struct, frozen=True, omit_defaults=True):
    """What a stored message says; its files lie in their own table.

    With a template, `subject` is the subject's source, and `para` the values for its variables.
    """

    subject: str
    text: str = ""
    html: str = ""  # beside `text`, or alone; empty: `text` alone, which may be HTML
    para: dict[str, Any] = {}
    plain: bool = False  # `text` is plain, whatever it looks like
    extras: CustomHeaders = NO_EXTRAS
    userid: str = ""  # with `extras.to`: who that is, where it is a user
