"""What the first start makes when the command was used before it, and what it leaves alone."""

from msgspec import structs

from ums.cli.processes.bootstrap import DEMO_CHANNEL, prepare
from ums.config import Settings
from ums.core.channels import channels
from ums.core.identity.credentials import create_access_key
from ums.core.maintenance.startup import open_system
from ums.core.senders import senders


async def test_the_demo_comes_also_beside_a_channel_made_before(settings: Settings) -> None:
    wanted = structs.replace(settings, demo=True)
    async with open_system(wanted) as system:
        await channels.create(system, "Guide", "1234")
    greeting = await prepare(wanted)
    assert greeting is not None
    assert greeting.password
    assert greeting.channelkey
    async with open_system(wanted) as system:
        names = {channel.name for channel in await channels.list_channels(system)}
        (sandbox,) = await senders.list_senders(system)
    assert names == {"Guide", DEMO_CHANNEL}
    assert sandbox.channels == [greeting.channelkey]
    assert await prepare(wanted) is None


async def test_the_demo_takes_nobodys_name(settings: Settings) -> None:
    wanted = structs.replace(settings, demo=True)
    async with open_system(wanted) as system:
        await channels.create(system, DEMO_CHANNEL, "1234")
        await create_access_key(system)
    greeting = await prepare(wanted)
    assert greeting is not None
    assert (bool(greeting.password), greeting.channelkey) == (True, "")
