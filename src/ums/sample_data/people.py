"""Made-up users: Chinese and English names, at domains that nobody can own (RFC 2606)."""

import tomllib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

PREFIX: Final = "sample-"  # of every userid
NEWSLETTER: Final = "newsletter"

_NAMES: Final[dict[str, dict[str, list[str]]]] = tomllib.loads(
    Path(__file__).with_name("names.toml").read_text("utf-8")
)
_DOMAINS: Final = {
    "qq.example": 30,
    "163.example": 18,
    "mail.example": 20,
    "example.com": 12,
    "example.net": 8,
    "example.org": 8,
    "campus.example": 4,
}
_PLANS: Final = {"free": 70, "monthly": 20, "annual": 10}
_CHINESE: Final = 0.7  # of all
_WITHOUT_ADDRESS: Final = 0.02
_OLDEST: Final = date(1950, 1, 1)
_BIRTHDAYS: Final = 55 * 365


class Person(Struct, frozen=True):
    """A user as an import would bring it; `address` is "" where none is known."""

    userid: str
    address: str
    attributes: dict[str, str]
    tags: tuple[str, ...]


def make_people(count: int, random: Random) -> Iterator[Person]:
    """Yield `count` people; the same `random` yields the same ones."""
    for number in range(1, count + 1):
        is_chinese = random.random() < _CHINESE
        name, mailbox = (_chinese if is_chinese else _english)(random)
        language = "zh" if is_chinese else "en"
        address = f"{mailbox}{number}@{_choose(_DOMAINS, random)}"
        plan = _choose(_PLANS, random)
        yield Person(
            userid=f"{PREFIX}{number:06}",
            address="" if random.random() < _WITHOUT_ADDRESS else address,
            attributes={
                "name": name,
                "language": language,
                "city": random.choice(_NAMES[language]["cities"]),
                "plan": plan,
                "birthday": str(_OLDEST + timedelta(random.randrange(_BIRTHDAYS))),
            },
            tags=_tags(plan, random),
        )


def _chinese(random: Random) -> tuple[str, str]:
    """A name, and the same in Latin letters."""
    surname, given = (random.choice(_NAMES["zh"][part]) for part in ("surnames", "given"))
    return _hanzi(surname) + _hanzi(given), _pinyin(surname) + _pinyin(given)


def _hanzi(text: str) -> str:
    return "".join(char for char in text if not char.isascii())


def _pinyin(text: str) -> str:
    return "".join(char for char in text if char.isascii())


def _english(random: Random) -> tuple[str, str]:
    first, last = (random.choice(_NAMES["en"][part]) for part in ("first", "last"))
    return f"{first} {last}", f"{first}.{last}".lower().replace("'", "")


def _tags(plan: str, random: Random) -> tuple[str, ...]:
    found = [NEWSLETTER] if random.random() < 0.4 else []
    if plan != "free":
        found.append("会员")
    if random.random() < 0.05:
        found.append("beta")
    return tuple(found)


def _choose(weights: dict[str, int], random: Random) -> str:
    return random.choices([*weights], [*weights.values()])[0]
