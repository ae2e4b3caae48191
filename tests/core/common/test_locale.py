"""Which language a caller is answered in (RFC 9110 section 12.5.4)."""

import pytest

from ums.core.common.locale import preferred


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("ZH-cn", "zh"),
        ("zh-Hant-TW;q=0.3", "zh"),
        ("en, zh", "en"),
        ("zh, en", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.8, zh-CN;q=0.9", "zh"),
        ("en;q=0.9,zh;q=0.8", "en"),
        ("zh;q=0.2, en;q=0.5, zh-CN;q=0.7", "zh"),
        ("fr-FR, de;q=0.9, zh;q=0.1", "zh"),
        ("zh;q=0", "en"),
        ("zh;q=0, en;q=0", "en"),
        ("zh;q=0.000, *", "en"),
        ("*", "en"),
        ("zh ; Q = 0.9", "zh"),
        ("zh;q=nan", "en"),
        ("zh;q=inf", "en"),
        ("zh;q=-1", "en"),
        ("zh;q=", "en"),
        ("zhuang", "en"),
        ("z h", "en"),
        (";;;,,,", "en"),
        ("\u4e2d\u6587", "en"),
        ("fr," * 30 + "zh", "en"),  # nobody speaks so many
    ],
)
def test_the_first_by_weight(accept: str, language: str) -> None:
    assert preferred(accept) == language
