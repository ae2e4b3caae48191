"""What msgspec says of values that do not fit, in Chinese too."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from ums.errors import Detail
from ums.parser_words import retell


class Given(Struct, forbid_unknown_fields=True):
    """A type with every kind of limit that ours have."""

    x: Annotated[int, Meta(ge=1, le=5)] = 1
    g: Annotated[int, Meta(multiple_of=2)] = 2
    s: Annotated[str, Meta(min_length=2, max_length=3)] = "aa"
    p: Annotated[str, Meta(pattern="^a{1}")] = "aa"
    l: Annotated[list[int], Meta(max_length=2)] = []  # noqa: E741
    m: Annotated[dict[str, int], Meta(max_length=1)] = {}
    t: tuple[int, str] = (1, "")
    d: datetime | None = None
    z: Annotated[datetime, Meta(tz=True)] | None = None
    y: date | None = None
    k: Literal["a", "b"] | None = None
    n: Literal[1, 2] = 1
    f: float = 1
    b: bytes = b""
    u: str | None = None


class Needed(Struct):
    q: int


WORDS = {
    b'{"x":"a"}': ("Expected int, got str - at $.x", "应为整数，实际为字符串（位于 $.x）"),
    b'{"x":0}': ("Expected int >= 1 - at $.x", "应为 >= 1 的整数（位于 $.x）"),
    b'{"s":"a"}': (
        "Expected str of length >= 2 - at $.s",
        "应为长度 >= 2 的字符串（位于 $.s）",
    ),
    b'{"t":[1]}': ("Expected array of length = 2 - at $.t", "应为长度 = 2 的数组（位于 $.t）"),
    b'{"u":5}': (
        "Expected str | null, got int - at $.u",
        "应为字符串或空值（null），实际为整数（位于 $.u）",
    ),
    b'{"v":5}': ("Object contains unknown field v", "含有未知字段 v"),
    b'{"k":"{z}"}': ("Invalid enum value '{z}' - at $.k", "取值 '{z}' 不在可选范围内（位于 $.k）"),
    b'{"x":1': ("Input data was truncated", "数据不完整"),
    b'{"x":1,}': (
        "JSON is malformed: trailing comma (byte 7)",
        "JSON 格式有误：末尾有多余的逗号（第 7 字节）",
    ),
}
BAD = [
    *WORDS,
    *(b'{"x":9}', b'{"g":3}', b'{"s":"aaaa"}', b'{"p":"bb"}', b'{"l":[1,2,3]}', b'{"l":["a"]}'),
    *(b'{"m":{"a":1,"b":2}}', b'{"m":{"a":"x"}}', b'{"d":"x"}', b'{"y":"2026-13-45"}'),
    *(b'{"z":"2026-01-01T00:00:00"}', b'{"n":5}', b'{"b":"!"}', b'{"f":1e999}', b"[]"),
    *(b'{"x":1}}', b"{x:1}", b'{"x":tru}', b'{"x":01}', b'{"u":"\\x"}', b'{"x" 1}', b""),
    *(b'{"u":"a\nb"}', b'{"l":[1,]}', b'{"l":[1 2]}', b'{"m":[]}', b'{"u":"\xff"}'),
    *(b'{"x":1 "y":2}', b'{"u":"\\u12"}'),
]


def errors() -> Iterator[Any]:
    yield from (pytest.param(body, Given, id=repr(body)) for body in BAD)
    yield pytest.param(b"{}", Needed, id="nothing")


def told(body: bytes, type: Any) -> str:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as caught:
        msgspec.json.decode(body, type=type)
    return str(caught.value)


@pytest.mark.parametrize(("body", "type"), errors())
def test_every_shape_of_the_parser_has_words_in_both_languages(body: bytes, type: Any) -> None:
    given = retell(told(body, type))
    assert isinstance(given, Detail), given
    assert given.isascii()
    assert "`" not in given
    chinese = given.words("zh")
    for word in (
        "Expected",
        "Invalid",
        "malformed",
        "expected",
        "invalid",
        "got ",
        "Object",
        " of ",
        "with",
    ):
        assert word not in chinese
    assert not chinese.isascii()


@pytest.mark.parametrize("body", WORDS)
def test_the_words(body: bytes) -> None:
    given = retell(told(body, Given))
    assert isinstance(given, Detail)
    assert (str(given), given.words("zh")) == WORDS[body]


def test_what_has_another_shape_stays() -> None:
    assert retell("Something else - at `here`") == "Something else - at here"
    assert retell("") == ""
