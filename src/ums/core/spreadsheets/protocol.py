"""What the reader of spreadsheets is told, and what it tells (`core.spreadsheets.worker`)."""

from typing import Any, Literal

from msgspec import Struct

MAX_CELL = 32_768  # characters; a spreadsheet program's own limit is one less
MAX_ROW = 100_000
MAX_NAME = 200  # of a cell that is only shown
MAX_SHEETS = 100  # that are offered
MAX_LINE = 1_000_000  # characters in one line of output, about

Numbered = tuple[int, list[Any]]
"""A row: its number as the spreadsheet program counts, and its cells."""


class Order(Struct):
    """What to read, and how much it may take. Sizes in bytes, times in seconds."""

    path: str
    action: Literal["check", "look", "read"]
    sheet: str | None = None  # of a workbook; None: the first that looks like a table
    header: int | None = None  # the number of its row; 0: no row; None: the one that looks like it
    start: int = 0  # rows to pass over
    names: list[str] | None = None  # what each column holds, "" nothing; None: as the header says
    show: int = 0  # rows that a look shows
    batch: int = 1_000  # rows in a batch
    rows: int = 100_000
    columns: int = 200
    unpacked: int = 200 * 1024 * 1024
    ratio: int = 100
    entries: int = 2_000
    memory: int = 512 * 1024 * 1024
    seconds: int = 300


class Head(Struct, tag="head"):
    """What the columns hold, in their order, how many rows there are, and the headings."""

    columns: list[str]
    size: int
    header: list[str] = []


class Sight(Struct, tag="sight"):
    """The header as it stands, the first rows, how many rows there are, and the sheets."""

    header: list[str]
    rows: list[list[str]]
    size: int
    sheets: list[str] = []  # of a workbook, those that are shown
    sheet: str | None = None  # the one that was read
    header_row: int = 1  # 0: no row
    columns: list[str] = []  # what they hold, going by the headings
    above: list[tuple[int, list[str]]] = []  # the first rows of the sheet with their numbers


class Line(Struct, array_like=True, gc=False):
    """A row: its number as the spreadsheet program counts, its cells as text, what is wrong."""

    number: int
    cells: list[str]
    flaw: str = ""  # a reason of ums.errors
    column: str = ""
    attributes: dict[str, str | int | float | bool] = {}


class Batch(Struct, tag="batch"):
    lines: list[Line]


class End(Struct, tag="end"):
    """There is nothing more. A stream without it was cut off."""


class Fault(Struct, tag="fault"):
    """The file cannot be imported; `detail` is one of the details of `ums.errors`."""

    reason: str
    detail: str
    values: dict[str, str | int] = {}


Item = Head | Sight | Batch | End | Fault


class SheetError(Exception):
    def __init__(self, reason: str, detail: str, **values: str | int) -> None:
        super().__init__(reason)
        self.fault = Fault(reason, detail, values)


class CellError(Exception):
    def __init__(self, reason: str, column: int) -> None:
        super().__init__(reason)
        self.reason, self.column = reason, column
