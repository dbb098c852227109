"""Which network addresses may be dialled (pure).

`ipaddress.is_global` is not enough: it lets multicast, NAT64 and 6to4 pass, and differs between versions of Python. The
lists are IANA's special-purpose registries for IPv4 and IPv6.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_OWN_4 = [IPv4Network(n) for n in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
_DENIED_4 = [
    IPv4Network(network)
    for network in (
        *(
            "0.0.0.0/8",
            "169.254.0.0/16",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
        ),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
_OWN_6 = [IPv6Network(network) for network in ("::1/128", "fc00::/7")]
_PUBLIC_6 = IPv6Network("2000::/3")
_DENIED_6 = [IPv6Network(n) for n in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")]


def may_dial(address: str, *, private: bool = False) -> bool:
    """Whether an address lies in the public internet, or, with `private`, in somebody's own network.

    Link-local addresses (cloud metadata), multicast, tunnels and documentation networks never pass.
    """
    parsed = _parsed(address)
    if parsed is None:
        return False
    if _is_own(parsed):
        return private
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _DENIED_4)
    return parsed in _PUBLIC_6 and not any(parsed in network for network in _DENIED_6)


def is_own_network(address: str) -> bool:
    """Whether it is of the loopback or of a private network."""
    parsed = _parsed(address)
    return parsed is not None and _is_own(parsed)


def _parsed(address: str) -> Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed


def _is_own(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return any(address in network for network in _OWN_4)
    return any(address in network for network in _OWN_6)
