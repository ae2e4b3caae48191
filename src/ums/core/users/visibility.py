"""What a caller sees under which name."""

from ums.core.identity.principals import Principal
from ums.core.users.fields import ALL


def bind_names(caller: Principal) -> dict[str, str]:
    """The bind ids of addresses and tags that the caller may use: `all`, and its channels, each
    with a name for people; `all` has none."""
    channels = sorted(caller.snapshot.channels.values(), key=lambda one: one.id)
    return {ALL: "", **{one.key: one.name for one in channels if caller.sees(one.id)}}
