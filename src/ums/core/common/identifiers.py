"""The grammar of userids and tags (ums-spec 3.4)."""

import re
from typing import Annotated, Final

from ums.bounds import said

_SPECIAL: Final = r"@!#$&*+=.|\uffe5"
TAG: Final = rf"^[\u3400-\u9fff\uf900-\ufaffA-Za-z0-9_{_SPECIAL}]+$"
USERID: Final = rf"^[A-Za-z0-9_{_SPECIAL}-]{{1,64}}$"
MAX_TAG: Final = 40  # bytes of UTF-8

Tag = Annotated[
    str,
    said("At most 40 bytes of UTF-8.", pattern=TAG, minLength=1, maxLength=MAX_TAG),
]
UserId = Annotated[str, said(pattern=USERID)]
_TAG: Final = re.compile(TAG)
_USERID: Final = re.compile(USERID)


def is_tag(text: str) -> bool:
    """Tell whether `text` is a tag: at most 40 bytes of UTF-8."""
    return _TAG.fullmatch(text) is not None and len(text.encode()) <= MAX_TAG


def is_userid(text: str) -> bool:
    """Tell whether `text` is a userid: at most 64 characters."""
    return _USERID.fullmatch(text) is not None
