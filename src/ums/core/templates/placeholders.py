"""Taking the template's tags out of a source and putting them back.

MJML and CSS inlining parse HTML and know nothing of `{{ }}`: between the rows of a table they
would move it out, in a style they would refuse it. So each tag is replaced by something that an
HTML parser keeps where it is: a comment in the text, a word inside tags and styles.
"""

import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from ums.core.templates.parser import Problem, Unparsable, environment
from ums.errors import Detail

_LEXER = environment()
_RAW = frozenset(
    {"style", "script", "title", "textarea", "xmp", "iframe", "noembed", "noframes"}
    | {"mj-style", "mj-title", "mj-preview"}
)
_CSS = frozenset({"style", "mj-style"})
_TAG = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
_IN_TAG = re.compile(r"""(>)|([^\s=>"'/]+)\s*=\s*(["'])""")
_UNQUOTED = re.compile(r"""=\s*[^\s"'>]*\Z""")
_MARKS: Final = re.compile(r"[\x02-\x04]")
_NUMBER: Final = re.compile(r"\x02(\d+)\x03")
_LINK: Final = "https://\x04"  # a variable as the start of a link's target
_LINES: Final = re.compile(r"^[ \t]*((?:\x02\d+\x03)+)[ \t]*\n?", re.MULTILINE)


class Token(Struct, frozen=True):
    """A tag of the template, as it is written; `block` for `{% %}`, which gives no output."""

    text: str
    line: int
    block: bool


def split(source: str) -> list[str | Token]:
    """`source` as it is written, its tags apart and its comments left out."""
    parts: list[str | Token] = []
    open_tag, kind, line = "", "", 1
    for at, name, value in _LEXER.lex(source):
        if name == "data":
            parts.append(value)
        elif name in ("raw_begin", "raw_end"):
            parts.append(Token(value, at, True))
        else:
            if name.endswith("_begin"):
                open_tag, kind, line = "", name, at
            open_tag += value
            if name.endswith("_end") and kind != "comment_begin":
                parts.append(Token(open_tag, line, kind == "block_begin"))
    return parts


class Place:
    """Where in an HTML text one is, moved on by `feed`."""

    def __init__(self) -> None:
        self.state = "text"  # text | tag | value | comment | raw
        self.tag = ""
        self.attribute = ""
        self.before = ""  # what of a value or a raw element has passed
        self._closing = False
        self._quote = ""

    @property
    def css(self) -> bool:
        if self.state == "raw":
            return self.tag in _CSS
        return self.state == "value" and self.attribute == "style"

    @property
    def declares(self) -> bool:
        """Whether a CSS declaration would begin here."""
        return self.css and self.before.rstrip()[-1:] in ("", ";", "{", "}")

    def feed(self, data: str) -> None:
        at = 0
        steps = {
            "text": self._text,
            "tag": self._tag,
            "value": self._value,
            "comment": self._comment,
            "raw": self._raw,
        }
        while at < len(data):
            at = steps[self.state](data, at)
        if self.state == "tag" and _UNQUOTED.search(data):
            self.state, self._quote, self.before = "value", "", data.rpartition("=")[2]
            self.attribute = data.rpartition("=")[0].split()[-1].lower() if "=" in data else ""

    def pass_token(self) -> None:
        self.before += "x"

    def _text(self, data: str, at: int) -> int:
        start = data.find("<", at)
        if start < 0:
            return len(data)
        if data.startswith("<!--", start):
            self.state = "comment"
            return start + 4
        found = _TAG.match(data, start)
        if found is None:
            return start + 1
        self.state, self.tag = "tag", found[2].lower()
        self._closing = bool(found[1])
        return found.end()

    def _tag(self, data: str, at: int) -> int:
        found = _IN_TAG.search(data, at)
        if found is None:
            return len(data)
        if found[1]:
            self.before = ""
            raw = self.tag in _RAW and not self._closing and data[found.start() - 1] != "/"
            self.state = "raw" if raw else "text"
        else:
            self.state, self.before = "value", ""
            self.attribute, self._quote = found[2].lower(), found[3]
        return found.end()

    def _value(self, data: str, at: int) -> int:
        if not self._quote:  # an unquoted value ends with a blank or the tag
            found = re.compile(r"[\s>]").search(data, at)
            self.state = "tag" if found else "value"
            return found.start() if found else len(data)
        end = data.find(self._quote, at)
        self.before += data[at : end if end >= 0 else len(data)]
        if end < 0:
            return len(data)
        self.state = "tag"
        return end + 1

    def _comment(self, data: str, at: int) -> int:
        end = data.find("-->", at)
        if end < 0:
            return len(data)
        self.state = "text"
        return end + 3

    def _raw(self, data: str, at: int) -> int:
        end = re.compile(rf"</{re.escape(self.tag)}", re.IGNORECASE).search(data, at)
        self.before += data[at : end.start() if end else len(data)]
        if end is None:
            return len(data)
        self.state, self._closing = "tag", True
        return end.end()


class Hidden:
    """A source without its tags, and the way back."""

    def __init__(self, source: str, part: str) -> None:
        self._part = part
        self._parts = split(source)
        self.tokens = [piece for piece in self._parts if isinstance(piece, Token)]
        self._mark = _unused(source)
        mark = self._mark
        self._back = re.compile(
            rf"<!--{mark}q(\d+)q-->|{mark}d(\d+)d:\s*0|{mark}q(\d+)q(?:=\"\")?", re.IGNORECASE
        )
        self._commented: list[int] = []

    def for_parsers(self) -> str:
        """For MJML and CSS inlining. Raises Unparsable where a tag cannot be carried through."""
        return self._hide(self._in_html)

    def restore(self, made: str) -> str:
        """`made` with the tags back. Raises Unparsable when one was lost or moved."""
        seen: set[int] = set()
        order: list[int] = []

        def back(found: re.Match[str]) -> str:
            number = int(found[found.lastindex or 1])
            seen.add(number)
            if found.lastindex == 1:
                order.append(number)
            return self.tokens[number].text

        text = self._back.sub(back, made)
        for number, token in enumerate(self.tokens):
            if number not in seen:
                raise self._problem(token, "tag_lost")
        if order != self._commented:
            pairs = zip(self._commented, order, strict=False)
            moved = next((a for a, b in pairs if a != b), self._commented[-1])
            raise self._problem(self.tokens[moved], "tag_moved")
        return text

    def as_plain(self, convert: Callable[[str], str]) -> str:
        """The text that `convert` makes of the HTML, with the tags in it.

        A line that holds only `{% %}` gives no line of its own.
        """
        made = convert(self._hide(_in_plain)).replace(_LINK, "\x02")
        made = _LINES.sub(self._tighten, made)
        return _NUMBER.sub(lambda found: self.tokens[int(found[1])].text, made)

    def _tighten(self, found: re.Match[str]) -> str:
        numbers = re.findall(r"\d+", found[1])
        return found[1] if all(self.tokens[int(n)].block for n in numbers) else found[0]

    def _hide(self, instead: Callable[[int, Token, Place], str]) -> str:
        place = Place()
        made: list[str] = []
        number = 0
        for piece in self._parts:
            if isinstance(piece, Token):
                made.append(instead(number, piece, place))
                place.pass_token()
                number += 1
            else:
                made.append(_MARKS.sub("", piece))
                place.feed(piece)
        return "".join(made)

    def _in_html(self, number: int, token: Token, place: Place) -> str:
        word = f"{self._mark}q{number}q"
        if place.state == "text":
            self._commented.append(number)
            return f"<!--{word}-->"
        if token.block and (place.css or place.state == "tag"):
            raise self._problem(token, "in_style")
        if place.declares:
            return f"{self._mark}d{number}d:0"
        return f" {word} " if place.state == "tag" else word

    def _problem(self, token: Token, what: str) -> Unparsable:
        shown = " ".join(token.text.split())[:60]
        detail = Detail(f"template_{what}", tag=shown)
        return Unparsable([Problem.of(self._part, token.line, detail)])


def _in_plain(number: int, token: Token, place: Place) -> str:
    if place.state == "comment":
        return ""
    link = place.state == "value" and not place.before and not token.block
    return f"{_LINK}{number}\x03" if link else f"\x02{number}\x03"


def _unused(source: str) -> str:
    """A word that does not occur in `source`."""
    mark, lower = "ums", source.lower()
    while mark in lower:
        mark += "x"
    return mark


__all__ = ["Hidden", "Place", "Token", "split"]
