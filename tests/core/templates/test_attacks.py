"""No template gets out, and none goes on for long (reliability.md, threats 1 and 13)."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.templates.attacks import BOMBS, ESCAPES
from core.templates.language import version
from ums.core.templates.cache import Person, Version
from ums.core.templates.parser import Unparsable
from ums.core.templates.values import RenderError

CANARY = "canary-7f3a"
VALUES: dict[str, Any] = {
    "x": "aab",
    "n": 3,
    "l": [*range(200), "aab"],
    "o": {"a": 1, "b": {"c": "d"}},
    "long": "ab" * 30_000,
    "config": "c",
}
GIVEN_AWAY = ("<class", "object at 0x", "built-in", "root:", "method ", "subclasses", "49", "77")


@pytest.fixture(autouse=True)
def canaries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What must not come out: of the environment, of a file, of the module's own names."""
    monkeypatch.setenv("CANARY", CANARY)
    (tmp_path / "canary").write_text(CANARY)
    monkeypatch.chdir(tmp_path)


def says(make: Callable[[], Version]) -> str:
    """All three parts rendered; "" where the template is refused or fails as it should."""
    person = Person("to@x.test", "u1", {"city": "c"})
    try:
        made = make()
        values = made.values(person, VALUES)
        parts = [part.text(values) for part in (made.html, made.text) if part]
        return "\n".join([made.subject.text(values), *parts])
    except (Unparsable, RenderError):
        return ""


def test_there_are_enough_of_them() -> None:
    assert len(set(ESCAPES)) >= 150
    assert len(set(BOMBS)) >= 40


@pytest.mark.parametrize("source", ESCAPES, ids=range(len(ESCAPES)))
def test_no_way_out(source: str) -> None:
    said = says(lambda: version(source, source, source))
    assert CANARY not in said
    assert not [word for word in GIVEN_AWAY if word in said and word not in source]


def test_a_value_is_never_a_template() -> None:
    for source in ESCAPES:
        values = {"x": source}
        made = version(text="{{ x }}{{ x|default('') }}{{ [x]|join|trim }}", html="{{ x|safe }}")
        assert made.text is not None
        assert made.html is not None
        ready = made.values(Person(""), values)
        assert made.text.text(ready) == source * 2 + source.strip()
        assert made.html.text(ready) == source


def outcome(source: str) -> str:
    made = version(text=source)
    assert made.text is not None
    return made.text.text(made.values(Person(""), VALUES))


@pytest.mark.parametrize("source", BOMBS, ids=range(len(BOMBS)))
def test_every_bomb_is_a_declared_error(source: str) -> None:
    """The time is not measured here: what does not end is ended by the suite's own limit."""
    with pytest.raises((Unparsable, RenderError)) as caught:
        outcome(source)
    if isinstance(caught.value, RenderError):
        assert caught.value.reason in ("template_limit", "template_failed")


WORDS = [
    "{{", "}}", "{%", "%}", "{#", "#}", " if ", " for ", " in ", " else ", "endif", "endfor",
    "set ", "x", "l", "o", "user", "loop", "self", ".", "__class__", "__globals__", "[", "]",
    "(", ")", "|", "attr", "upper", "default", "join", "map", "'", '"', "0", "9", "**", "*",
    "~", "+", "-", ",", "=", "==", "<", " is ", "defined", "not ", "and ", " ", "\n", "raw",
    "endraw", "canary", "format", "{{ x }}", "{{ l[0] }}", "{% if x %}", "{% endif %}",
    "{% for a in l %}", "{% endfor %}",
]  # fmt: skip


@pytest.mark.slow
def test_whatever_is_thrown_at_it_ends_in_a_declared_way() -> None:
    dice = random.Random(20261125)
    rendered = 0
    for _ in range(20_000):
        source = "".join(dice.choices(WORDS, k=dice.randint(1, 14)))
        said = says(lambda source=source: version("s", None, source))
        assert CANARY not in said
        assert "<class" not in said
        rendered += bool(said)
    assert rendered > 500  # some do come out, or nothing would be tested
    assert os.environ["CANARY"] == CANARY
