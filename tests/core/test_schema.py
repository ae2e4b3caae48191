from ums.core import schema
from ums.core.system import System


async def test_fresh_database_is_at_the_head(system: System) -> None:
    assert await schema.revision(system.database) == schema.head()
    assert await schema.migrate(system.database) is False
