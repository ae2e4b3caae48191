"""Which passwords are refused, and which names are taken for one another."""

import pytest

from ums.core import names, passwords
from ums.errors import Invalid


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "short_password"),
        ("elevenchars", "short_password"),
        ("x" * 1001, "bad_value"),
        ("half a pair \ud800", "bad_value"),
        ("xxxxxxxxxxxx", "common_password"),
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
        ("wang.xiaoming", "password_like_name"),
        ("WangXiaoming2026", "password_like_name"),
        ("gnimoaix.gnaw", "password_like_name"),
        ("wangxiaoming!!!", "password_like_name"),
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
        "a long password",
        "七月的风吹过白杨树林和河",
        "kz8-Qd2vXw_e",
        "12 words may be few",
        "my dragon eats password managers",
        "        twelve",
        "wang xiaoming walks to the river",
    ],
)
def test_any_other_is_taken_whatever_it_is_made_of(password: str) -> None:
    passwords.check(password, "Wang.Xiaoming")


def test_a_short_name_forbids_no_words() -> None:
    passwords.check("likely alibi lily", "li")
    with pytest.raises(Invalid):
        passwords.check("lililililili", "li")
    with pytest.raises(Invalid):
        passwords.check("王小明王小明王小明王小明", "王小明")


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
    ],
)
def test_names_that_a_reader_takes_for_one(one: str, other: str) -> None:
    assert names.key(one) == names.key(other)


def test_names_that_differ() -> None:
    known = ["admin", "admin2", "li", "lin", "zhao", "赵", "李", "管理员", "管理", "eva", "éva"]
    assert len({names.key(name) for name in known}) == len(known)


@pytest.mark.parametrize("name", ["", "a" * 61, "a:b", "a/b", "a\nb", "\u200b", "\u3164", "  "])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        names.check(name)
    assert caught.value.reason == "bad_value"
