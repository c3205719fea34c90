"""Where jobs connect to beyond the platform: the host's proxy and package indexes, or the internet's TCP 443.

Policies know addresses only, so the names in the host's environment are resolved when the platform is set up, and the
answer is kept. `scripts/doctor` tells when it has become old.
"""

import ipaddress
import json
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
INDEXES = (
    "GOPROXY",
    "NPM_CONFIG_REGISTRY",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX",
    "UV_INDEX_URL",
)
_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks5": 1080, "socks5h": 1080}
_HTTPS = 443

Place = tuple[str, int]
Lookup = Callable[[str], list[str]]


@dataclass(frozen=True)
class Egress:
    """`internet`: whether jobs reach TCP 443 of every public address. `places`: IPv4 addresses by `host:port`."""

    internet: bool
    places: Mapping[str, tuple[str, ...]]

    def endpoints(self) -> list[tuple[str, int]]:
        """Every address with its port, in order."""
        return sorted({(address, _port(place)) for place, found in self.places.items() for address in found})

    def describe(self) -> str:
        """What jobs reach, in words."""
        named = ", ".join(sorted(self.places))
        if self.internet:
            return "jobs reach TCP 443 of public addresses" + (f", and {named}" if named else "")
        return f"jobs reach {named} and nothing else beyond the platform"

    def text(self) -> str:
        """As it is kept."""
        places = {place: list(found) for place, found in sorted(self.places.items())}
        return json.dumps({"internet": self.internet, "places": places}, indent=2) + "\n"


def file(state: Path) -> Path:
    """Where the answer is kept below the state directory."""
    return state / "host" / "egress.json"


def recorded(state: Path) -> Egress:
    """What was kept. Raises ValueError that names the file when there is none or it cannot be used."""
    path = file(state)
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        places = {
            str(place): tuple(str(ipaddress.IPv4Address(one)) for one in addresses)
            for place, addresses in found["places"].items()
            if _port(place)
        }
        return Egress(bool(found["internet"]), places)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); scripts/up writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: cannot be used ({error}); scripts/up writes it anew") from None


def resolve(variables: Mapping[str, str], lookup: Lookup | None = None, known: Egress | None = None) -> Egress:
    """What jobs with these environment variables need.

    A name that does not resolve keeps the addresses in `known`, or has none. What public TCP 443 covers is not listed.
    """
    ask = lookup or _addresses
    proxies = _proxies(variables)
    internet = not proxies
    places: dict[str, tuple[str, ...]] = {}
    for host, port in sorted(proxies | _indexes(variables, proxied=bool(proxies))):
        name = f"{host}:{port}"
        addresses = tuple(sorted(set(ask(host)))) or (known.places.get(name, ()) if known else ())
        if internet and port == _HTTPS and all(ipaddress.IPv4Address(one).is_global for one in addresses):
            continue
        places[name] = addresses
    return Egress(internet, places)


def stale(kept: Egress, now: Egress) -> list[str]:
    """The places whose present addresses are not all admitted."""
    if kept.internet is not now.internet:
        return ["the host's proxy"]
    return sorted(place for place, found in now.places.items() if set(found) - set(kept.places.get(place, ())))


def _proxies(variables: Mapping[str, str]) -> set[Place]:
    names = [name for known in PROXIES for name in (known, known.lower())]
    return _places(variables.get(name, "") for name in names)


def _indexes(variables: Mapping[str, str], *, proxied: bool) -> set[Place]:
    """The package indexes that are not asked through the proxy."""
    found = _places(
        url
        for name in INDEXES
        # Several by space or, for Go, comma and bar; uv's may have a name before an equals sign.
        for part in re.split(r"[\s,|]+", variables.get(name, ""))
        for url in [re.sub(r"^[\w.-]+=", "", part)]
        if "://" in url
    )
    exempt = [part.strip() for part in (variables.get("NO_PROXY") or variables.get("no_proxy") or "").split(",")]
    return {(host, port) for host, port in found if not proxied or any(_bypasses(host, one) for one in exempt if one)}


def _places(urls: Iterable[str]) -> set[Place]:
    found = set()
    for url in urls:
        parts: SplitResult = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
        # A pod's own loopback is not the host's.
        if url and host and port and host != "localhost" and not host.startswith("127."):
            found.add((host, port))
    return found


def _bypasses(host: str, exempt: str) -> bool:
    """Whether an entry of NO_PROXY (a name, a domain, an address, a range or *) is about the host."""
    if exempt == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(exempt, strict=False)
    except ValueError:
        domain = exempt.lstrip("*").lstrip(".")
        return host == domain or host.endswith(f".{domain}")


def _port(place: str) -> int:
    return int(place.rpartition(":")[2])


def _addresses(host: str) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)]
    except OSError:
        return []
