"""What the columns of a spreadsheet hold, going by the headings above them.

A column holds one of `COLUMNS`, an attribute of the user (`user.` and its name), both the address
and the userid (`BOTH`), or nothing that is wanted ("").
"""

import re
from collections.abc import Sequence
from typing import Final

_WECHAT: Final = ("wechatmp_openid", "alipaylife_userid", "wechatoa_openid", "dingtalk_userid")
_WORK: Final = ("wechatwk_userid", "wechatwk_linkedcorp_userid", "tag")
COLUMNS: Final = ("userid", "bind_id", "phone", "email", "app_regid", *_WECHAT, *_WORK)
BOTH: Final = "email+userid"
ATTRIBUTE: Final = "user."
RESERVED: Final = (f"{ATTRIBUTE}userid", f"{ATTRIBUTE}address")  # templates mean the user's own
_ADDRESS: Final = re.compile(r"[^\s@,;]+@[^\s@,;]+\.[^\s@,;]+").fullmatch
_NAME: Final = re.compile(r"[^\W\d]\w{0,99}").fullmatch

_ALSO: Final = {
    "userid": (
        *("user", "user id", "user number", "user no", "username", "id", "uid", "account"),
        *("member", "member id", "member no", "member number", "membership number"),
        *("customer id", "customer no", "customer number", "client id", "employee id"),
        *("用户", "用户id", "用户名", "用户编号", "用户标识", "用户账号", "账号", "帐号"),
        *("会员", "会员号", "会员id", "会员编号", "会员卡号", "会员账号"),
        *("客户号", "客户id", "客户编号", "客户代码", "工号", "员工号", "员工编号", "学号"),
    ),
    "email": (
        *("e mail", "mail", "email address", "e mail address", "mail address", "emails"),
        *("work email", "contact email", "recipient", "recipient email"),
        *("邮箱", "邮件", "电子邮箱", "电子邮件", "电子邮件地址", "电子邮箱地址", "邮箱地址"),
        *("邮件地址", "邮箱账号", "联系邮箱", "工作邮箱", "收件人", "收件邮箱"),
    ),
    "phone": (
        *("mobile", "mobile phone", "mobile number", "telephone", "tel", "phone number", "cell"),
        *("手机", "手机号", "手机号码", "电话", "电话号码", "联系电话", "联系手机"),
    ),
    "tag": ("tags", "label", "labels", "标签", "用户标签"),
    "bind_id": ("bind id", "bindid", "绑定标识"),
    "user.name": ("name", "full name", "姓名", "名字", "客户姓名", "会员姓名"),
    "user.first_name": ("first name", "given name"),
    "user.last_name": ("last name", "surname", "family name"),
    "user.city": ("city", "城市", "所在城市"),
    "user.company": ("company", "company name", "公司", "公司名称", "单位", "企业名称"),
    "user.department": ("department", "部门"),
}
_GUESSES: Final = {
    **{name: column for column, names in _ALSO.items() for name in names},
    **{column: column for column in COLUMNS},
}


def normal(heading: str) -> str:
    """A heading as it is compared: case, marks and doubled blanks do not count."""
    words = re.sub(r"[\s_\-./:：*＊]+", " ", heading.replace("\ufeff", "").lower())
    return words.strip()


def guess(header: Sequence[str]) -> list[str]:
    """What the columns hold; "" where a heading tells nothing, or what one before it told.

    Where no column tells the userid, the address is proposed as the userid.
    """
    found: list[str] = []
    for heading in header:
        column = _named(heading)
        found.append("" if column in found else column)
    if "email" in found and "userid" not in found:
        found[found.index("email")] = BOTH
    return found


def guess_from(rows: Sequence[Sequence[str]]) -> list[str]:
    """What the columns of a table without headings hold: the first that has an address has the
    address, which is proposed as the userid."""
    width = max(map(len, rows), default=0)
    for place in range(width):
        if any(is_address(row[place]) for row in rows if place < len(row)):
            return ["" if other != place else BOTH for other in range(width)]
    return [""] * width


def is_address(cell: str) -> bool:
    """Whether a cell holds an address and nothing else, so that its row is no header."""
    return _ADDRESS(cell.strip()) is not None


def _named(heading: str) -> str:
    exact = heading.strip().lower()
    if exact in COLUMNS or exact == BOTH or is_attribute(heading.strip()):
        return exact if exact in COLUMNS or exact == BOTH else heading.strip()
    plain = normal(heading)
    return _GUESSES.get(plain) or _GUESSES.get(normal(re.sub(r"[(（].*[)）]", "", heading)), "")


def rank(cells: Sequence[str]) -> tuple[int, int]:
    """How much a row looks like a header: the headings that are known, and those that there are."""
    return sum(map(bool, guess(cells))), sum(1 for cell in cells if cell.strip())


def is_attribute(column: str) -> bool:
    """Whether `column` is `user.` and a name that a template can use."""
    name = column.removeprefix(ATTRIBUTE)
    return name != column and column not in RESERVED and _NAME(name) is not None


def attribute_for(heading: str) -> str:
    """The name of the attribute that a column with this heading would fill; "" for none."""
    name = re.sub(r"\W+", "_", heading.strip()).strip("_")[:100]
    return name if is_attribute(f"{ATTRIBUTE}{name}") else ""


def letters(place: int) -> str:
    """The name a spreadsheet program gives the column at `place`, from 0: A, Z, AA."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(65 + rest) + text
    return text
