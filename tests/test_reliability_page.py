"""docs/reliability.md names tests; each of them is there, and no row is forgotten."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([FT]\d+) \| ([^|]+) \| ([^|]*) \|$", PAGE, re.MULTILINE)
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))


def test_every_row_is_there_once() -> None:
    wanted = [f"{kind}{number}" for kind in "FT" for number in range(1, 51)]
    assert [row[0] for row in ROWS] == wanted


def test_a_row_has_a_test_or_a_reason() -> None:
    assert [row[0] for row in ROWS if not row[2].strip()] == []
    assert len(NAMED) > 80


def test_a_named_test_is_there() -> None:
    for file, name in NAMED:
        source = (ROOT / "tests" / file).read_text("utf-8")
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), (file, name)
