"""docs/security.md and its chapters go through ASVS level 2: each requirement once, with a status,
and every test that they name is there."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "docs" / "security.md", *sorted((ROOT / "docs" / "security").glob("*.md"))]
WANTED = (ROOT / "tests" / "asvs_5.0_level_2.txt").read_text("utf-8").split()
STATUSES = {"met", "not applicable", "partly", "not met"}


class Row(NamedTuple):
    """What is said of a requirement."""

    number: str
    about: str
    status: str
    evidence: str


ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
TEXTS = {page.name: page.read_text("utf-8") for page in PAGES}
ROWS = [Row(*found) for text in TEXTS.values() for found in ROW.findall(text)]
NAMED = sorted({one for t in TEXTS.values() for one in re.findall(r"`(tests/[^`:]+)::([^`]+)`", t)})


def test_every_requirement_is_there_once() -> None:
    assert [row.number for row in ROWS] == WANTED


def test_there_are_four_statuses() -> None:
    assert {row.status for row in ROWS} == STATUSES


def test_a_row_says_what_it_rests_on() -> None:
    for row in ROWS:
        assert row.about.strip(), row.number
        assert row.evidence.strip(), row.number
        is_open = row.status in ("partly", "not met")
        assert bool(re.match(r"(Low|Medium|High)\. ", row.evidence)) == is_open, row.number


def test_the_overview_counts_right() -> None:
    total = [sum(row.status == one for row in ROWS) for one in _order()]
    line = f"| all {len(WANTED)} | {' | '.join(map(str, total))} |"
    assert line in TEXTS["security.md"]


def _order() -> list[str]:
    head = next(x for x in TEXTS["security.md"].splitlines() if x.startswith("| Chapter |"))
    return [cell.strip() for cell in head.split("|")[2:-1]]


def test_what_is_open_stands_in_the_overview() -> None:
    told = re.findall(
        r"^\| (\d+\.\d+\.\d+) \| [^|]* \| (\w+), ([\w ]+) \|$", TEXTS["security.md"], re.MULTILINE
    )
    still = {
        (row.number, row.evidence.partition(".")[0], row.status)
        for row in ROWS
        if row.status in ("partly", "not met")
    }
    assert len(told) == len(still)
    assert set(told) == still


def test_a_named_test_is_there() -> None:
    assert [(file, name) for file, name in NAMED if name not in _tests_of(file)] == []


@cache
def _tests_of(file: str) -> frozenset[str]:
    source = (ROOT / file).read_text("utf-8")
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)\(", source, re.MULTILINE))


def test_the_evidence_is_mostly_tests() -> None:
    assert len(NAMED) > 150


def test_a_named_file_is_there() -> None:
    for page, text in TEXTS.items():
        for name in re.findall(r"`((?:src|docs|frontend|tests)/[\w./-]+)`", text):
            assert (ROOT / name).exists(), (page, name)
