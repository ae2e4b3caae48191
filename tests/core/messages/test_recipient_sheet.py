"""A spreadsheet of recipients: what its rows mean, and which name nobody."""

from io import BytesIO

import openpyxl
import pytest

from ums.core.context.app_context import AppContext
from ums.core.messages import recipient_sheet
from ums.core.messages.new_message import MAX_RECIPIENTS, Recipient
from ums.core.messages.recipient_sheet import MailingList
from ums.errors import Invalid


async def read(system: AppContext, text: str, *, with_variables: bool = False) -> MailingList:
    source = BytesIO(text.encode())
    return await recipient_sheet.read(system, source, "list.csv", with_variables=with_variables)


async def test_addresses_before_userids_and_values_of_their_own(system: AppContext) -> None:
    text = "userid,Email,姓名,not a name\nu1,A@Example.ORG,张三,x\nu2,,,\n"
    found = await read(system, text, with_variables=True)
    assert found.recipients == [
        Recipient(address="A@example.org", variables={"姓名": "张三"}),
        Recipient(userid="u2"),
    ]
    assert found.wrong == []
    assert (await read(system, text)).recipients[0].variables == {}


async def test_rows_that_name_nobody_are_told(system: AppContext) -> None:
    found = await read(system, "email,note\nnobody,x\n,only a note\na@example.org,\n")
    assert found.recipients == [Recipient(address="a@example.org")]
    assert found.wrong == ["2 (nobody)", "3 (–)"]


async def test_a_workbook(system: AppContext) -> None:
    book = openpyxl.Workbook()
    for row in (["用户ID", "订单"], [1001, 7], [1002, 8.5]):
        book.active.append(row)  # type: ignore[union-attr]
    file = BytesIO()
    book.save(file)
    file.seek(0)
    found = await recipient_sheet.read(system, file, "名单.xlsx", with_variables=True)
    assert found.recipients == [
        Recipient(userid="1001", variables={"订单": "7"}),
        Recipient(userid="1002", variables={"订单": "8.5"}),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,city\nx,y\n", "list_columns"),
        ("", "sheet_columns"),
        ("email\n" + "a@example.org\n" * (MAX_RECIPIENTS + 1), "list_long"),
    ],
)
async def test_lists_that_are_none(system: AppContext, text: str, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        await read(system, text)
    assert refused.value.reason == reason
    assert not list((system.settings.data_dir / "imports").iterdir())
