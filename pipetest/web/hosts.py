"""By which names the site may be asked on loopback. A page of another site can have its own name mean 127.0.0.1 (DNS
rebinding), and could then read what is answered there."""

import re
from collections.abc import Collection, Iterable
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

_HOST = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<name>[^:\[\]]+))(?::[0-9]*)?")


class LoopbackHosts:
    """Names other than localhost and ``names`` are refused where only this machine can connect. An address is no name:
    no page of another site has it."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {"localhost", *map(str.lower, names)}
        self._listeners: set[tuple[str, int]] = set()

    def listens_at(self, address: IAddress) -> None:
        """The site listens there; what is no loopback address is none of ours."""
        if isinstance(address, IPv4Address | IPv6Address) and ip_address(address.host).is_loopback:
            self._listeners.add((address.host, address.port))

    def refuses(self, address: IAddress, hosts: Collection[bytes]) -> bool:
        """Whether a request that arrived at this address may not ask for these, its ``Host`` headers. Without one it
        comes from no browser."""
        if not isinstance(address, IPv4Address | IPv6Address) or (address.host, address.port) not in self._listeners:
            return False
        return not all(self._is_ours(host.decode("latin-1").lower()) for host in hosts if host)

    def _is_ours(self, host: str) -> bool:
        parts = _HOST.fullmatch(host)
        if parts is None:
            return False
        name = parts["ipv6"] or parts["name"].removesuffix(".")
        try:
            return bool(ip_address(name))
        except ValueError:
            return name in self._names or name.endswith(".localhost")
