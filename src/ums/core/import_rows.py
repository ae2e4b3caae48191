"""Rows of a spreadsheet as entries of `/v1/user/opt`: one set of rules for both (ums-spec 4)."""

from typing import Any

from msgspec import Struct

from ums.core.sheets import Line, letters
from ums.core.user_entries import Entry, Rights, parse
from ums.core.user_kinds import ALL, KINDS
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


class Table(Struct, frozen=True):
    """What a row is read by."""

    columns: list[str]
    bind_id: str  # where the row does not give one
    rights: Rights

    def check(self) -> None:
        """Raises Invalid when no row could be right: the bind id does not suit a column."""
        if "bind_id" in self.columns:
            return
        for column in self.columns:
            if column in KIND_OF and KINDS[KIND_OF[column]].scope != ALL:
                self.rights.check(KIND_OF[column], self.bind_id)

    def entry(self, line: Line) -> Entry:
        """The row as an entry: every value is set, an empty cell changes nothing."""
        if line.flaw:
            raise Invalid(line.flaw, field=line.column)
        cells = {name: cell for name, cell in zip(self.columns, line.cells, strict=True) if cell}
        bind_id = cells.get("bind_id") or self.bind_id
        raw: dict[str, Any] = {"userid": cells.get("userid")}
        for column, cell in cells.items():
            name = KIND_OF.get(column)
            if name is not None:
                values = _split(cell) if KINDS[name].many else cell
                if values:
                    raw[name] = values if KINDS[name].scope == ALL else {bind_id: values}
        return parse(raw, self.rights)

    def named(self, line: Line) -> dict[str, str]:
        """The row's cells under their column's name, for the workbook of rejected rows."""
        names = [*self.columns, *[""] * len(line.cells)]
        cells = enumerate(line.cells)
        return {names[i] or letters(i): cell for i, cell in cells if cell or names[i]}


def read(table: Table, line: Line) -> Entry | UmsError:
    try:
        return table.entry(line)
    except UmsError as error:
        return error


def _split(cell: str) -> list[str]:
    return [value for one in cell.replace("，", ",").split(",") if (value := one.strip())]
