"""Is a text HTML, and what does HTML say in plain words: the text/plain beside a text/html.

A reading aid for mail, not a browser: it never rejects anything, and each character is looked at
a bounded number of times. (`html.parser` takes quadratic time on unclosed comments and tags, and
the texts come from callers.)
"""

import re
from html import unescape

_ELEMENTS = (
    "a|abbr|address|article|b|big|blockquote|body|br|button|caption|center|code|col|colgroup|dd|"
    "del|div|dl|dt|em|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|img|input|"
    "ins|label|li|link|main|mark|meta|nav|ol|p|pre|q|s|section|small|span|strike|strong|style|"
    "sub|sup|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul|script|video|wbr"
)
_MARKUP = re.compile(
    rf"<(?:/?(?:{_ELEMENTS})(?:\s*+/?>|\s[^<>=]*+=[^<>]*+>)|!doctype\s+html)", re.IGNORECASE
)

# A quote opens a value only after "=", as browsers read it; what is never closed runs to the end,
# so that no start is tried twice.
_TOKEN = re.compile(
    r"<!--(?:>|.*?(?:-->|\Z))"
    r"|<[!?][^>]*+(?:>|\Z)"
    r"|<(?P<close>/?)(?P<tag>[a-z][^\s/>]*+)"
    r"""(?P<attributes>(?:=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))|[^>])*+)(?:>|\Z)""",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""(?:^|(?<=[\s"'/]))(href|alt)\s*+=\s*+(?:"([^"]*+)|'([^']*+)|([^\s"'>]++))""", re.IGNORECASE
)
_BLANK = re.compile(r"[ \t\n\r\f]+")
_DROPPED = frozenset({"script", "style", "title", "textarea", "iframe", "noframes", "xmp"})
_PARAGRAPH = re.compile(
    "p|h[1-6]|table|[uod]l|blockquote|pre|figure|form|hr|article|section"
).fullmatch
_LINE = re.compile(
    "address|body|caption|center|d[dt]|div|figcaption|footer|head|header|html|li|main|nav|tr|"
    "tbody|thead|tfoot"
).fullmatch
_FILLERS = {0xA0: " ", 0xAD: None, 0x34F: None, 0x200B: None, 0xFEFF: None}  # pad preview lines
_LINKS = ("http://", "https://", "mailto:", "tel:")


def is_html(text: str) -> bool:
    """Whether `text` is sent as HTML.

    The rule: it holds at least one complete start or end tag of an HTML element that is used in
    mail, bare or with an attribute that has a value (`<p>`, `</b>`, `<br/>`, `<a href=...>`), or a
    `<!doctype html`. Entities alone, comparisons ("a<b and c>d"), mail addresses and links in
    angle brackets, and other markup (`<note>`, `List<String>`) leave it plain text.
    """
    return _MARKUP.search(text) is not None


def html_to_text(html: str) -> str:
    """What `html` says, as plain text with LF line ends.

    Links become `text (url)`, list items `- ` or `1. `, the cells of a row are joined by ` | `,
    images give their alternative text; scripts, styles and comments vanish.
    """
    reader = _Reader()
    position = 0
    while (token := _TOKEN.search(html, position)) is not None:
        reader.words(html[position : token.start()])
        position = token.end()
        tag = (token["tag"] or "").lower()
        if tag in _DROPPED and not token["close"]:
            position = _after(html, tag, position)
        elif tag:
            reader.tag(tag, bool(token["close"]), token["attributes"])
    reader.words(html[position:])
    return reader.text()


def _after(html: str, tag: str, position: int) -> int:
    end = re.compile(rf"</{tag}(?=[\s/>])", re.IGNORECASE).search(html, position)
    return end.start() if end else len(html)


def _attribute(attributes: str, name: str) -> str:
    for found in _ATTRIBUTE.finditer(attributes):
        if found[1].lower() == name:
            return _BLANK.sub(" ", unescape(found[2] or found[3] or found[4] or "")).strip()
    return ""


class _Reader:
    """Collects lines while the tags go by."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._lists: list[int] = []  # the last number given per open list, -1 for bullets
        self._url = ""  # of the link that is open
        self._shown: list[str] = []  # what that link shows
        self._preformatted = 0
        self._lead = ""  # bullet of an item whose first line has not come yet
        self._cell = False  # the next word starts another cell of the row

    def words(self, raw: str) -> None:
        text = unescape(raw).translate(_FILLERS).replace("\r\n", "\n").replace("\r", "\n")
        if not self._preformatted:
            self._write(_BLANK.sub(" ", text))
            return
        first, *rest = text.split("\n")
        self._write(first)
        for line in rest:
            self._end_line(keep_empty=True)
            self._write(line)

    def tag(self, tag: str, close: bool, attributes: str) -> None:
        if tag == "a":
            self._end_link() if close else self._start_link(_attribute(attributes, "href"))
        elif tag == "br":
            self._end_line(keep_empty=True)
        elif tag == "img":
            self._write(_attribute(attributes, "alt"))
        elif tag in ("td", "th"):
            self._cell = not close and bool(self._line)
        else:
            self._block(tag, close)

    def text(self) -> str:
        """All lines: no blanks at their ends, never more than one empty line together."""
        self._end_link()
        self._end_line()
        lines = "\n".join(line.rstrip() for line in self._lines)
        return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")

    def _block(self, tag: str, close: bool) -> None:
        inside = self._lead or (tag in ("ul", "ol") and self._nested(close))
        if _PARAGRAPH(tag) or _LINE(tag):
            self._end_line()
        if _PARAGRAPH(tag) and not inside:
            self._lines.append("")
        if tag in ("ul", "ol"):
            self._list(tag, close)
        elif tag == "pre":
            self._preformatted = max(0, self._preformatted + (-1 if close else 1))
        elif tag == "hr":
            self._lines += ["-" * 20, ""]
        elif tag == "li":
            self._item(close)

    def _nested(self, close: bool) -> bool:
        return len(self._lists) > (1 if close else 0)

    def _list(self, tag: str, close: bool) -> None:
        self._lead = ""
        if not close:
            self._lists.append(0 if tag == "ol" else -1)
        elif self._lists:
            self._lists.pop()

    def _item(self, close: bool) -> None:
        if close:
            self._lead = ""
            return
        if self._lists and self._lists[-1] >= 0:
            self._lists[-1] += 1
        number = self._lists[-1] if self._lists else -1
        bullet = "- " if number < 0 else f"{number}. "
        self._lead = "  " * min(len(self._lists) - 1, 8) + bullet

    def _start_link(self, url: str) -> None:
        self._end_link()
        if url.lower().startswith(_LINKS):
            self._url, self._shown = url, []

    def _end_link(self) -> None:
        url, self._url = self._url, ""
        shown = "".join(self._shown).strip()
        bare = url.partition(":")[2] if url.lower().startswith(("mailto:", "tel:")) else url
        if url and not shown:
            self._write(f" {bare} ")
        elif url and bare.rstrip("/") not in (
            shown.rstrip("/"),
            f"https://{shown}",
            f"http://{shown}",
        ):
            self._write(f" ({bare})")

    def _write(self, text: str) -> None:
        if not self._preformatted and (not self._line or self._line[-1].endswith(" ")):
            text = text.lstrip(" ")
        if self._cell:
            text = text.lstrip(" ")
        if not text:
            return
        if self._url:
            self._shown.append(text)
        if self._cell:
            self._line = ["".join(self._line).rstrip(" "), " | "]
        self._line += [self._lead, text]
        self._cell, self._lead = False, ""

    def _end_line(self, *, keep_empty: bool = False) -> None:
        if self._line or keep_empty:
            self._lines.append("".join(self._line))
        self._line = []
        self._cell = False
