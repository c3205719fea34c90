"""Which address ranges count as open to everybody."""

import ipaddress

# Two halves of the internet are the internet: wider than this is nobody's own network.
WIDEST = {4: 8, 6: 16}


def everywhere(cidr: object) -> bool:
    """Whether a range is the whole internet or a large part of it; also what is no range at all."""
    try:
        network = ipaddress.ip_network(str(cidr), strict=False)
    except ValueError:
        return True
    return network.prefixlen < WIDEST[network.version]
