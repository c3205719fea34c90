"""Only an address of this machine or a private network counts as an emulator's."""

import pytest

from aws import emulation
from settings import SettingsError


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:5001", "http://localhost:5001/", "http://10.254.254.1:5001", "http://[::1]:5001"]
)
def test_an_address_near_is_an_emulator(address: str) -> None:
    assert emulation.endpoint({emulation.VARIABLE: address}) == address.rstrip("/")


@pytest.mark.parametrize("variables", [{}, {emulation.VARIABLE: ""}])
def test_without_one_aws_is_aws(variables: dict[str, str]) -> None:
    assert emulation.endpoint(variables) is None


@pytest.mark.parametrize(
    "address",
    [
        "https://ec2.eu-central-1.amazonaws.com",
        "http://8.8.8.8:5001",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "ftp://127.0.0.1",
        "127.0.0.1:5001",
        "http://[::",
    ],
)
def test_any_other_is_refused_with_the_fix(address: str) -> None:
    with pytest.raises(SettingsError, match=r"AWS_ENDPOINT_URL: .* is no address of an emulator .*, or unset it"):
        emulation.endpoint({emulation.VARIABLE: address})
