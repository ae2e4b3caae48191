"""Rows of a spreadsheet as entries of `/v1/user/opt`: one set of rules for both (ums-spec 4)."""

from typing import Any

from msgspec import Struct

from ums.core.common.identifiers import is_userid
from ums.core.spreadsheets.headings import BOTH, letters
from ums.core.spreadsheets.protocol import Line
from ums.core.users.entry_parser import Entry, Rights, parse
from ums.core.users.fields import ALL, KINDS, read_value
from ums.errors import Invalid, UmsError

KIND_OF = {
    "phone": "phone",
    "email": "email",
    "app_regid": "app",
    "wechatmp_openid": "wechatmp",
    "alipaylife_userid": "alipaylife",
    "wechatoa_openid": "wechatoa",
    "dingtalk_userid": "dingtalkcc",
    "wechatwk_userid": "wechatwk",
    "wechatwk_linkedcorp_userid": "wechatwk_linkedcorp",
    "tag": "tag",
}
"""The kind that each column of values holds."""
MAX_HEADING = 60  # characters of a heading that a reason quotes


class Table(Struct, frozen=True):
    """What a row is read by."""

    columns: list[str]
    bind_id: str  # where the row does not give one
    rights: Rights
    header: list[str] = []  # the headings as they stand in the file

    def check(self) -> None:
        """Raises Invalid when no row could be right: the bind id does not suit a column."""
        if "bind_id" in self.columns:
            return
        for column in ("email" if column == BOTH else column for column in self.columns):
            if column in KIND_OF and KINDS[KIND_OF[column]].scope != ALL:
                self.rights.check(KIND_OF[column], self.bind_id)

    def entry(self, line: Line) -> Entry:
        """The row as an entry: every value is set, an empty cell changes nothing."""
        if line.flaw:
            raise Invalid(line.flaw, field=line.column)
        cells = {name: cell for name, cell in zip(self.columns, line.cells, strict=True) if cell}
        if BOTH in self.columns:
            cells |= _both(cells.pop(BOTH, ""))
        bind_id = cells.get("bind_id") or self.bind_id
        raw: dict[str, Any] = {"userid": cells.get("userid")}
        if line.attributes:
            raw["attributes"] = line.attributes
        for column, cell in cells.items():
            name = KIND_OF.get(column)
            if name is not None:
                values = _split(cell) if KINDS[name].many else cell
                if values:
                    raw[name] = values if KINDS[name].scope == ALL else {bind_id: values}
        return parse(raw, self.rights)

    def told(self, error: UmsError) -> UmsError:
        """The error naming the column as the file does, so that its reader finds the cell."""
        place = self._place(str(error.values.get("field", "")))
        if place is not None:
            names = self.header[place : place + 1]
            error.values["field"] = "".join(names)[:MAX_HEADING].strip() or letters(place)
        return error

    def _place(self, field: str) -> int | None:
        """Where the column stands that holds a field of an entry."""
        for place, column in enumerate(self.columns):
            both = column == BOTH and field in BOTH.split("+")
            if field and (both or field in (column, KIND_OF.get(column))):
                return place
        return None

    def named(self, line: Line) -> dict[str, str]:
        """The row's cells under their headings, for the workbook of rejected rows."""
        names = [*(self.header or self.columns), *[""] * len(line.cells)]
        found: dict[str, str] = {}
        for place, cell in enumerate(line.cells):
            if cell or names[place]:
                name = names[place] or letters(place)
                found[f"{name} ({letters(place)})" if name in found else name] = cell
        return found


def read(table: Table, line: Line) -> Entry | UmsError:
    try:
        return table.entry(line)
    except UmsError as error:
        return table.told(error)


def _both(cell: str) -> dict[str, str]:
    """The address, and its normal form as the userid. Raises Invalid."""
    if not cell:
        raise Invalid("missing", field="email")
    address = read_value("email", cell, "email")
    if not is_userid(address):
        raise Invalid("address_no_userid", field="email")
    return {"email": cell, "userid": address}


def _split(cell: str) -> list[str]:
    return [value for one in cell.replace("，", ",").split(",") if (value := one.strip())]
