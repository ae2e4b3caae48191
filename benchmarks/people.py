"""Users as companies have them, the same in every run: numbers of staff, Chinese and Latin names,
addresses, tags. What searches find of them is known: see the constants."""

from collections.abc import Iterator
from random import Random
from typing import Any

COMMON = "mail.example"  # three of ten addresses
LATE = "late.example"  # a company that came last, with one in fifty users
TAG = "新客户"  # one in ten users
RARE = "欧阳靖宇"  # one in 20,000 users
_SURNAMES = (
    "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程"
)
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国文辉玲志红梅林鑫波斌宇浩凯健俊帆雪荣爱东海燕"
    "雨晨欣怡子涵梓轩诗思远博雅琪佳慧嘉豪天宁晓春夏秋冬云龙凤山川江河安康福瑞祥泽润德仁义礼智信忠孝"
)
_LATIN = (
    ("Anna", "Becker"),
    ("James", "Carter"),
    ("Maria", "Silva"),
    ("Priya", "Nair"),
    ("Lukas", "Hoffmann"),
    ("Chloe", "Martin"),
    ("Oliver", "Nguyen"),
    ("Sofia", "Rossi"),
    ("Noah", "Kowalski"),
    ("Emma", "Johansson"),
)
_OTHERS = ("qq", "corp", "sina", "edu", "post", "foxpost", "novo")
_DOMAINS = (*(COMMON,) * 3, *(f"{name}.example" for name in _OTHERS))
_CITIES = ("北京", "上海", "广州", "深圳", "成都", "杭州", "Berlin", "Lisboa")


def people(count: int, channelkey: str) -> Iterator[dict[str, Any]]:
    """Entries of `/v1/user/opt`."""
    random = Random(1)
    for number in range(1, count + 1):
        yield _person(random, number, number > count - count // 50, channelkey)


def _person(random: Random, number: int, is_late: bool, channelkey: str) -> dict[str, Any]:
    first, last = random.choice(_LATIN)
    userid = f"E{number:07d}" if number % 3 else f"{first}.{last}{number}".lower()
    domain = LATE if is_late else random.choice(_DOMAINS)
    email = {"all": f"{first[0]}.{last}{number}@{domain}".lower()}
    if number % 5 == 0:  # a second one, of the channel's own
        email[channelkey] = f"{userid}@second.example".lower()
    tags = [TAG] * (number % 10 == 0) + ["VIP"] * (random.random() < 0.05)
    attributes = {"name": _name(random, number, first, last), "city": random.choice(_CITIES)}
    return {"userid": userid, "email": email, "attributes": attributes, "tag": {"all": tags}}


def _name(random: Random, number: int, first: str, last: str) -> str:
    if number % 20_000 == 0:
        return RARE
    if number % 10 < 3:
        return f"{first} {last}"
    return random.choice(_SURNAMES) + "".join(random.choices(_GIVEN, k=random.choice((1, 2, 2))))
