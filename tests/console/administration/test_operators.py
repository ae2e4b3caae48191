"""The page of operators."""

import re

from console.administration.test_settings import followed
from console.conftest import Visit
from support.doors import Door


async def test_an_operators_channels_are_changed(door: Door, visit: Visit) -> None:
    visitor, bound = await visit(), await visit("operator")
    one, other = await door.channel(), await door.channel()
    path = "/operators/operator1"
    seen = (await bound.get("/channels")).text
    assert one.key in seen
    assert other.key in seen
    fields = {"role": "operator", "disabled": "no", "channels": ["", one.key]}
    shown = await followed(visitor, await visitor.post(path, data=fields))
    assert re.search(rf'value="{one.key}" checked', shown)
    seen = (await bound.get("/channels")).text
    assert one.key in seen
    assert other.key not in seen
    assert (await bound.get(f"/channels/{other.key}")).status_code == 404
    await followed(visitor, await visitor.post(path, data={**fields, "channels": [""]}))
    assert other.key in (await bound.get("/channels")).text
    assert (await visitor.post(path, data={**fields, "channels": ["x"]})).status_code == 404
