from ums.core.context.app_context import AppContext
from ums.migrations import runner


async def test_fresh_database_is_at_the_head(system: AppContext) -> None:
    assert await runner.revision(system.database) == runner.head()
    assert await runner.migrate(system.database) is False
