"""The page of words that messages must not hold."""

import re

from console.administration.test_settings import followed
from console.conftest import Visit
from support.doors import Door


async def test_words_of_all_channels_and_of_one(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    base = f"/channels/{channel.key}/words"
    assert "赌博" in await followed(visitor, await visitor.post("/words", data={"word": "赌博"}))
    again = await visitor.post("/words", data={"word": ""})
    assert (again.status_code, 'class="error"' in again.text) == (400, True)
    exempt = await visitor.post(base, data={"word": "赌博", "exempt": "on"})
    shown = await followed(visitor, exempt)
    assert "allowed here" in shown
    (id,) = re.findall(rf"{base}/(\d+)/delete", shown)
    assert "No words yet" in await followed(visitor, await visitor.post(f"{base}/{id}/delete"))
