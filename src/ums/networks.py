"""What one client has of the Internet, for every limit that counts by address."""

from ipaddress import IPv6Address, IPv6Network, ip_address


def client_network(address: str) -> str:
    """An IPv4 address, also one that is mapped into IPv6, or the /64 of an IPv6 address."""
    try:
        given = ip_address(address)
    except ValueError:
        return address[:45]
    if isinstance(given, IPv6Address):
        mapped = given.ipv4_mapped
        return str(mapped or IPv6Network((int(given) >> 64 << 64, 64)))
    return str(given)
