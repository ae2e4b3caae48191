"""The page of materials."""

import re

from console.administration.test_settings import followed
from console.conftest import Visit
from support.doors import Door


async def test_materials_are_uploaded_and_ended(door: Door, visit: Visit) -> None:
    visitor = await visit()
    files = {"file": ("<价目表>.pdf", b"%PDF-1.4 x")}
    made = await visitor.post("/materials", files=files, data={"hours": "2", "channel": ""})
    shown = await followed(visitor, made)
    assert "&lt;价目表&gt;.pdf" in shown
    wrong = await visitor.post("/materials", files=files, data={"hours": "9999"})
    assert (wrong.status_code, 'id="hours-error"' in wrong.text) == (400, True)
    assert (await visitor.post("/materials", data={"hours": "2"})).status_code == 400
    (id,) = re.findall(r"/materials/(\d+)/delete", shown)
    assert "Deleted." in await followed(visitor, await visitor.post(f"/materials/{id}/delete"))
