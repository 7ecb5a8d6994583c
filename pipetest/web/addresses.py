"""IP addresses of those who connect."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from twisted.internet import address as endpoints
from twisted.internet.interfaces import IAddress


def ip_of(address: IAddress) -> IPv4Address | IPv6Address | None:
    """Without its zone, and IPv4 as such where an IPv6 socket has it mapped; None where it is no IP address."""
    if not isinstance(address, endpoints.IPv4Address | endpoints.IPv6Address):
        return None
    ip = ip_address(address.host.partition("%")[0])
    return getattr(ip, "ipv4_mapped", None) or ip
