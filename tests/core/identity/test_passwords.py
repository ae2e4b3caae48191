"""Which passwords are refused, and which names are taken for one another."""

import re

import pytest
from msgspec.structs import replace
from sqlalchemy import update

from ums.core.common import operator_names
from ums.core.context.app_context import AppContext
from ums.core.identity import operators, password_hashing, passwords
from ums.core.settings import branding
from ums.core.tables import operators as rows
from ums.errors import Conflict, Invalid


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "short_password"),
        ("elevenchars", "short_password"),
        ("x" * 1001, "bad_value"),
        ("half a pair \ud800", "bad_value"),
        ("xxxxxxxxxxxx", "common_password"),
        (" " * 12, "common_password"),
        ("\u3000\t" * 8, "common_password"),
        ("abababababab", "common_password"),
        ("123456789012", "common_password"),
        ("abcdefghijkl", "common_password"),
        ("zyxwvutsrqpo", "common_password"),
        ("qwertyuiopas", "common_password"),
        ("1q2w3e4r5t6y", "common_password"),
        ("CounterStrike", "common_password"),
        ("password1234", "common_password"),
        ("Password2024!", "common_password"),
        ("P@ssw0rd2026", "common_password"),
        ("!!dragon!!1999", "common_password"),
        ("passwordpassword", "common_password"),
        ("ｐａｓｓｗｏｒｄ１２３４", "common_password"),
        ("letmeinletmein", "common_password"),
        ("111111111111", "common_password"),
        ("adminadmin12", "common_password"),
        ("ADMINadmin12", "common_password"),
        ("adm1nadm1n12", "common_password"),
        ("adminadmin!!", "common_password"),
        ("admin12admin12x", "common_password"),
        ("adminpassword12", "common_password"),
        ("administrator2026", "common_password"),
        ("superadmin2026", "common_password"),
        ("Password12345!", "common_password"),
        ("P@ssw0rdP@ssw0rd1", "common_password"),
        ("password1password2", "common_password"),
        ("Passwort1234567890", "common_password"),
        ("qwertyqwerty1", "common_password"),
        ("qwerty123456qwerty", "common_password"),
        ("zaq12wsxcde3", "common_password"),
        ("letmein-letmein-1", "common_password"),
        ("welcome2026welcome", "common_password"),
        ("changeme2026!", "common_password"),
        ("woaini1314520", "common_password"),
        ("5201314520131", "common_password"),
        ("aabbccddeeff", "common_password"),
        ("aaaabbbbccccdddd", "common_password"),
        ("gfhfktkktgbgtl", "common_password"),
        ("umsumsumsums", "common_password"),
        ("Ums2026!ums2026!", "common_password"),
        ("unifiedmessaging", "common_password"),
        ("a long password", "common_password"),
        ("        twelve", "common_password"),
        ("wang.xiaoming", "password_like_name"),
        ("WangXiaoming2026", "password_like_name"),
        ("gnimoaix.gnaw", "password_like_name"),
        ("wangxiaoming!!!", "password_like_name"),
        ("wangxiaoming2wangxiaoming2", "password_like_name"),
        ("XiaomingXiaoming7", "password_like_name"),
    ],
)
def test_a_password_that_would_be_guessed(password: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        passwords.check(password, "Wang.Xiaoming")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "a rather long password",
        "gK7-tR2xQ9pL",
        "七月的风吹过白杨树林和河",
        "kz8-Qd2vXw_e",
        "12 words may be few",
        "my dragon eats password managers",
        "wang xiaoming walks to the river",
    ],
)
def test_any_other_is_taken_whatever_it_is_made_of(password: str) -> None:
    passwords.check(password, "Wang.Xiaoming")


@pytest.mark.parametrize("length", [64, 129, 1000])
async def test_a_long_password_counts_to_its_end_and_as_it_was_typed(
    system: AppContext, length: int
) -> None:
    password = (" Seven grey herons, 七只灰鹭 fly " * 50)[: length - 1] + "Z"
    stored = await passwords.hashed(system, password, "li")
    assert await password_hashing.verify(stored, password)
    for other in (password[:-1], password[:-1] + "z", password + " ", password.strip()):
        assert not await password_hashing.verify(stored, other)
    assert not await password_hashing.verify(stored, password.swapcase())


def test_a_short_name_forbids_no_words() -> None:
    passwords.check("likely alibi lily", "li")
    with pytest.raises(Invalid):
        passwords.check("lililililili", "li")
    with pytest.raises(Invalid):
        passwords.check("王小明王小明王小明王小明", "王小明")


async def test_the_words_of_an_installation_make_no_password(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    await branding.change(system, name="Bluebird Logistics")
    settings = replace(system.settings, public_url="https://mail.quetzalcorp.example")
    monkeypatch.setattr(type(system), "settings", settings)
    for password in ("Bluebird Logistics 2026", "quetzalcorp-2026"):
        with pytest.raises(Invalid) as caught:
            await passwords.hashed(system, password, "li")
        assert caught.value.reason == "common_password"
        passwords.check(f"{password} of elsewhere", "li")


def test_what_takes_longest_to_estimate_has_an_end() -> None:
    passwords.check("4@8({[<369&#z" * 76, "li")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("admin", "Admin"),
        ("admin", "ADMIN"),
        ("admin", "аdmin"),
        ("admin", "ａｄｍｉｎ"),
        ("admin", "adrnin"),
        ("admin", "adm1n"),
        ("admin", "admın"),
        ("admin", "ad min"),
        ("admin", "admin\u034f"),
        ("bill", "BiIl"),
        ("boss", "b0ss"),
        ("BOPA", "ВОРА"),
        ("вора", "ВОРА"),
        ("Straße", "STRASSE"),
        ("é", "e\u0301"),
        ("admin", "ADM\u0130N"),
        ("admin", "ádmin"),
        ("admin", "a\u0307dmin"),
        ("admin", "ađmiń"),
        ("admin", "adm\u05b4in"),  # a point of Hebrew
        ("admin", "adm\u3099in"),  # a mark of Japanese
        ("eva", "éva"),
        ("Lukasz", "Łukasz"),
        ("각", "\u1100\u1161\u11a8"),
    ],
)
def test_names_that_a_reader_takes_for_one(one: str, other: str) -> None:
    assert operator_names.key(one) == operator_names.key(other)


async def test_a_name_with_another_key_is_taken_too(system: AppContext) -> None:
    """Keys are stored: one may be of a version that read names otherwise."""
    await operators.create(system, "ádmin", "correct horse battery")
    async with system.database.write() as tx:
        await tx.run(update(rows).values(name_key="of before"))
    with pytest.raises(Conflict):
        await operators.create(system, "ádmin", "correct horse battery")


def test_names_that_differ() -> None:
    known = ["admin", "admin2", "li", "lin", "zhao", "赵", "李", "管理员", "管理"]
    known += ["김철수", "김철순", "ガス", "カス", "がく", "かく", "हिन्दी", "हन्द", "กำ", "กา"]
    assert len({operator_names.key(name) for name in known}) == len(known)


@pytest.mark.parametrize(
    "name", ["", "a" * 61, "a:b", "a/b", "a\nb", "\u200b", "\u3164", "  ", "\u0301"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        operator_names.check(name)
    assert caught.value.reason == "bad_value"


def test_a_password_has_no_age_and_no_question() -> None:
    """Nothing in the database could let a password expire, or ask a question in its place."""
    names = [column.name for column in rows.c]
    assert [one for one in names if "password" in one] == ["password_hash", "must_change_password"]
    assert not [one for one in names if re.search("question|answer|hint|expire", one)]
