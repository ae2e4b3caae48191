"""What Jinja's parser says of a source it cannot read, as words that both languages have."""

import re
from typing import Final

from jinja2 import TemplateSyntaxError

from ums.errors import Detail

_TOKENS: Final = {
    "begin of comment": "comment_begin",
    "end of comment": "comment_end",
    "comment": "comment",
    "begin of statement block": "block_begin",
    "end of statement block": "block_end",
    "begin of print statement": "print_begin",
    "end of print statement": "print_end",
    "template data / text": "data",
    "end of template": "eof",
}
_KINDS: Final = ("name", "string", "integer", "float")
_OPEN: Final = (
    r"Jinja was looking for the following tags: (?P<wanted>.*)\."
    r" The innermost block that needs to be closed is '(?P<block>.*)'\."
)
_SAID: Final = {
    "jinja_expected": r"expected token '(?P<wanted>.*)', got '(?P<found>.*)'",
    "jinja_char": r"unexpected char (?P<char>.*) at (?P<place>\d+)",
    "jinja_instead": r"unexpected '(?P<found>.*)', expected '(?P<wanted>.*)'",
    "jinja_unexpected": r"unexpected '(?P<found>.*)'",
    "jinja_end": r"unexpected end of template, expected '(?P<wanted>.*)'\.",
    "jinja_open": rf"Unexpected end of template\. {_OPEN}",
    "jinja_inner": rf"Encountered unknown tag '(?P<found>.*)'\. {_OPEN}",
    "jinja_unknown": r"Encountered unknown tag '(?P<found>.*)'\.",
    "jinja_comment": r"Missing end of comment tag",
    "jinja_raw": r"Missing end of raw directive",
    "jinja_tag_name": r"tag name expected",
    "jinja_expression": r"Expected an expression, got '(?P<found>.*)'",
    "jinja_attribute": r"expected name or number",
    "jinja_subscript": r"expected subscript expression",
    "jinja_identifier": r"Invalid character in identifier",
}
_FORMS: Final = {name: re.compile(form, re.DOTALL) for name, form in _SAID.items()}


def words(error: TemplateSyntaxError) -> Detail:
    """What is wrong. What is not known here is told in English alone."""
    said = " ".join((error.message or "it cannot be read").split())[:400]
    for name, form in _FORMS.items():
        found = form.fullmatch(said)
        if found is not None:
            return Detail(
                name, **{key: _named(key, text) for key, text in found.groupdict().items()}
            )
    return Detail("template_unread", told=said[:200])


def _named(key: str, text: str) -> str:
    """The name of a token; a tag's own name is written as it is. Lists of tags lose their `or`."""
    if text in _TOKENS:
        return Detail(f"token_{_TOKENS[text]}")
    if key == "wanted" and text in _KINDS:
        return Detail(f"token_{text}")
    if " or " in text and key == "wanted":
        return Detail("either", names=text, listed=text.replace(" or ", "、"))
    return text
