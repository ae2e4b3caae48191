"""Names that operators give: each flaw has its own words."""

import pytest

from ums.core.common.names import check_name
from ums.errors import Invalid


@pytest.mark.parametrize(
    ("name", "reason", "detail"),
    [
        ("", "missing", None),
        ("  ", "missing", None),
        ("x" * 31, "misfit", "at_most_characters"),
        (" x", "misfit", "blanks_around"),
        ("a\nb", "control_characters", None),
        ("a\u200bb", "control_characters", None),
    ],
)
def test_each_flaw_is_said(name: str, reason: str, detail: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        check_name(name, 30, "brand")
    assert (refused.value.reason, refused.value.values["field"]) == (reason, "brand")
    told = refused.value.values.get("detail")
    assert (told and told.reason) == detail


def test_good_names_pass() -> None:
    for name in ("x" * 30, "你好 世界", "é"):
        check_name(name, 30)
