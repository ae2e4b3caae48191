"""The grammar of userids and tags (ums-spec 3.4)."""

import re
from typing import Final

_SPECIAL: Final = r"@!#$&*+=.|￥"
_TAG: Final = re.compile(rf"[\u3400-\u9fff\uf900-\ufaffA-Za-z0-9_{re.escape(_SPECIAL)}]+")
_USERID: Final = re.compile(rf"[A-Za-z0-9_{re.escape(_SPECIAL)}-]{{1,64}}")


def is_tag(text: str) -> bool:
    """Tell whether `text` is a tag: at most 40 bytes of UTF-8."""
    return _TAG.fullmatch(text) is not None and len(text.encode()) <= 40


def is_userid(text: str) -> bool:
    """Tell whether `text` is a userid: at most 64 characters."""
    return _USERID.fullmatch(text) is not None
