"""Which places beyond the platform jobs are let to: read from the host's own variables."""

from pathlib import Path

import pytest

from mlplatform.network import egress
from mlplatform.network.egress import Egress

NAMES = {"proxy.example": ["10.9.0.1", "10.9.0.2"], "index.example": ["192.168.7.7"], "pypi.example": ["8.8.4.4"]}


def lookup(host: str) -> list[str]:
    return NAMES.get(host, [host] if host.replace(".", "").isdigit() else [])


def test_s1_without_a_proxy_jobs_reach_public_addresses() -> None:
    assert egress.resolve({}, lookup) == Egress(True, {})
    assert egress.resolve({"SSL_CERT_FILE": "/x"}, lookup).describe() == "jobs reach TCP 443 of public addresses"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("value", ["http://user:word@proxy.example:3128/", "proxy.example:3128"])
def test_s1_with_a_proxy_jobs_reach_it_alone(name: str, value: str) -> None:
    found = egress.resolve({name: value, "PIP_INDEX_URL": "https://pypi.example/simple"}, lookup)
    assert found.endpoints() == [("10.9.0.1", 3128), ("10.9.0.2", 3128)]
    assert not found.internet
    assert "proxy.example:3128 and nothing else" in found.describe()


def test_an_index_that_bypasses_the_proxy_is_a_place_of_its_own() -> None:
    variables = {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "NO_PROXY": ".example",
        "UV_INDEX": "in=https://index.example/a",
    }
    assert ("192.168.7.7", 443) in egress.resolve(variables, lookup).endpoints()


@pytest.mark.parametrize("exempt", ["192.168.0.0/16", "192.168.7.7", "*"])
def test_an_address_bypasses_the_proxy_by_its_range(exempt: str) -> None:
    variables = {
        "https_proxy": "http://proxy.example:3128",
        "no_proxy": exempt,
        "PIP_INDEX_URL": "http://192.168.7.7/a",
    }
    assert ("192.168.7.7", 80) in egress.resolve(variables, lookup).endpoints()
    assert ("192.168.7.7", 80) not in egress.resolve({**variables, "no_proxy": "10.0.0.0/8"}, lookup).endpoints()


def test_indexes_at_private_addresses_are_listed_and_public_ones_need_not_be() -> None:
    variables = {
        "PIP_INDEX_URL": "https://pypi.example/simple",
        "PIP_EXTRA_INDEX_URL": "http://index.example:8081/a https://index.example/b",
        "GOPROXY": "http://index.example,direct",
    }
    found = egress.resolve(variables, lookup)
    assert found.internet
    assert found.endpoints() == [("192.168.7.7", 80), ("192.168.7.7", 443), ("192.168.7.7", 8081)]


def test_loopback_is_the_hosts_own() -> None:
    assert egress.resolve({"PIP_INDEX_URL": "http://127.0.0.1:3141/simple"}, lookup) == Egress(True, {})


def test_a_name_that_does_not_resolve_keeps_its_last_addresses() -> None:
    known = Egress(False, {"gone.example:3128": ("10.1.1.1",)})
    variables = {"HTTPS_PROXY": "http://gone.example:3128"}
    assert egress.resolve(variables, lookup, known) == known
    assert egress.resolve(variables, lookup).places == {"gone.example:3128": ()}


def test_what_was_kept_is_old_once_an_address_is_new() -> None:
    kept = Egress(False, {"a:1": ("10.0.0.1", "10.0.0.2")})
    assert egress.stale(kept, Egress(False, {"a:1": ("10.0.0.2",)})) == []
    assert egress.stale(kept, Egress(False, {"a:1": ("10.0.0.3",)})) == ["a:1"]
    assert egress.stale(kept, Egress(True, {})) == ["the host's proxy"]


def test_it_is_kept_and_read_again(tmp_path: Path) -> None:
    found = Egress(False, {"a:1": ("10.0.0.1",)})
    path = egress.file(tmp_path)
    path.parent.mkdir()
    path.write_text(found.text())
    assert egress.recorded(tmp_path) == found


@pytest.mark.parametrize("text", ["", "[]", '{"internet": true}', '{"internet": true, "places": {"a:1": ["b"]}}'])
def test_a_file_that_cannot_be_used_is_named_with_the_fix(tmp_path: Path, text: str) -> None:
    path = egress.file(tmp_path)
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=r"egress.json: cannot be used .*scripts/up writes it anew"):
        egress.recorded(tmp_path)


def test_a_missing_file_is_named_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"egress.json: cannot be read .*scripts/up writes it"):
        egress.recorded(tmp_path)
