"""Who may look at the sandbox without signing in."""

from ums.console.guests import AnyRequest, is_guest


def is_local(request: AnyRequest) -> bool:
    """Whether somebody asks whom the link of `ums serve` let in.

    An address is no proof: a proxy on this machine asks from the same one for anybody.
    """
    return is_guest(request)
