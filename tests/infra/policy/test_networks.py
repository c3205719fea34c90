"""Which ranges are nobody's own network."""

import pytest

from policy.networks import everywhere


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "8.0.0.0/7", "::/0", "2000::/3", "any", ""])
def test_it_is_everybody(cidr: str) -> None:
    assert everywhere(cidr)


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "10.20.0.0/16", "198.51.100.7/32", "10.20.0.1/16", "2001:db8::/32"])
def test_it_is_somebody(cidr: str) -> None:
    assert not everywhere(cidr)
