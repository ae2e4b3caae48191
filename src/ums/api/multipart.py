"""Bodies of multipart/form-data (RFC 7578), read while they come.

A last part that ends with the body, without its closing boundary, is taken as whole: a client of
the hosted UMS sends it so (ums-spec 7.1, item 10).
"""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from msgspec import Struct
from multipart import (
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from ums.errors import Detail, Invalid

MAX_PARTS: Final = 16
MAX_HEADER: Final = 4096  # bytes of a line
MAX_BOUNDARY: Final = 200  # RFC 2046 says 70


class Part(Struct, frozen=True):
    """The beginning of a part: its name, and what its head says, in no way cleaned."""

    name: str
    disposition: str
    content_type: str


async def read_form(content_type: str, body: AsyncIterable[bytes]) -> AsyncIterator[Part | bytes]:
    """Each part of `body`: its beginning, then its content in pieces. Raises Invalid."""
    parser = _parser(content_type)
    inside = False
    try:
        async for data in body:
            for event in parser.parse(data) if data else ():
                inside = event is not None
                if event is not None:
                    yield _told(event)
        if inside:
            for event in parser.parse(b"\r\n--" + parser.boundary + b"--"):
                if event is not None:
                    yield _told(event)
        parser.close()
    except MultipartError as error:
        raise Invalid("bad_form", detail=str(error)) from None


def _parser(content_type: str) -> PushMultipartParser:
    kind, options = parse_options_header(content_type)
    boundary: str = options.get("boundary", "")
    if kind != "multipart/form-data":
        raise Invalid("bad_form", detail=Detail("form_type"))
    if not 1 <= len(boundary) <= MAX_BOUNDARY or not boundary.isascii():
        raise Invalid("bad_form", detail=Detail("form_boundary"))
    return PushMultipartParser(
        boundary,
        max_header_size=MAX_HEADER,
        max_segment_count=MAX_PARTS,
        header_charset="latin-1",  # of any byte; `_text` finds out what they mean
    )


def _told(event: MultipartSegment | bytes) -> Part | bytes:
    if not isinstance(event, MultipartSegment):
        return event
    disposition, kind = event.header("Content-Disposition"), event.header("Content-Type")
    return Part(event.name or "", _text(disposition or ""), kind or "")


def _text(latin: str) -> str:
    """Clients write names as they are, in UTF-8 or in what their system speaks."""
    raw = latin.encode("latin-1")
    for charset in ("utf-8", "gb18030"):
        try:
            return raw.decode(charset)
        except UnicodeDecodeError:
            continue
    return latin
