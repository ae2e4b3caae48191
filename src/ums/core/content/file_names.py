"""The name and the type of a file that comes from elsewhere, fit to be shown in a mail."""

import mimetypes
import re
import unicodedata
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

OCTETS: Final = "application/octet-stream"
_MAX_NAME: Final = 200  # characters
_MAX_HEADER: Final = 4096  # characters that are looked at
_TYPE: Final = re.compile(r"[\w!#$&^.+-]{1,100}/[\w!#$&^.+-]{1,100}", re.ASCII)  # as mime has it
_CHARSET: Final = re.compile(r"[\w-]{1,40}", re.ASCII)
_PARAMETER: Final = re.compile(r';\s*([\w*-]{1,40})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))')
_NAME_CHARSETS: Final = {"utf-8", "iso-8859-1", "us-ascii", "gbk", "gb2312", "gb18030", "big5"}
_HIDDEN: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, direction marks, line ends, ...


def name_and_type(names: Iterable[str], content_type: str) -> tuple[str, str]:
    """The first of `names` that is one, else "attachment"; and the type.

    `content_type` is what came with the file; where it is not sane, the name tells.
    """
    given = header_type(content_type)
    name = next(filter(None, map(clean_name, names)), "")
    if not name:
        kind = given.partition(";")[0]
        ending = mimetypes.guess_extension(kind) if kind not in {"", OCTETS} else None
        name = "attachment" + (ending or "")
    return name, given or guessed_type(name)


def header_type(value: str) -> str:
    """ "text/plain; charset=gbk" and the like without other parameters; empty when not sane."""
    kind = value.partition(";")[0].strip().lower()
    if not _TYPE.fullmatch(kind):
        return ""
    charset = _parameters(value).get("charset", "")
    if kind.startswith("text/") and _CHARSET.fullmatch(charset):
        return f"{kind}; charset={charset.lower()}"
    return kind


def guessed_type(name: str) -> str:
    kind, encoding = mimetypes.guess_type(name)
    return kind if kind and not encoding else OCTETS  # x.tar.gz is no tar


def _parameters(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(value[:_MAX_HEADER]):
        # Only these two are unescaped: unlearned servers write "C:\dir\file".
        quoted = re.sub(r'\\(["\\])', r"\1", match[2] or "")
        found.setdefault(match[1].lower(), quoted or (match[3] or "").strip())
    return found


def disposition_name(value: str) -> str:
    """The file name of a Content-Disposition (RFC 6266), not cleaned; empty when it has none.

    `filename*` goes before `filename`, and that may be percent-encoded, as browsers read it.
    """
    parameters = _parameters(value)
    charset, _, encoded = parameters.get("filename*", "").partition("'")
    encoded = encoded.partition("'")[2]
    if encoded and charset.lower() in _NAME_CHARSETS:
        try:
            return unquote_to_bytes(encoded).decode(charset)
        except UnicodeDecodeError:
            pass
    plain = parameters.get("filename", "")
    try:
        return unquote(plain, errors="strict")
    except UnicodeDecodeError:
        return plain


def clean_name(name: str) -> str:
    """The last path part, without controls, direction marks and dots or blanks around it."""
    seen = "".join(sign for sign in name if unicodedata.category(sign) not in _HIDDEN)
    last = re.split(r"[/\\]", seen)[-1].strip(" .\u00a0\u3000")
    return last[-_MAX_NAME:]  # its end says what opens it
