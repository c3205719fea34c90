"""The registry's answers, each as what it means."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from images.errors import ImageError
from images.registry import Registry

CLOSED = "127.0.0.1:1"


def test_a_registry_that_does_not_answer_is_named() -> None:
    with pytest.raises(ImageError, match=rf"registry {CLOSED}: does not answer \(.*refused\); scripts/up starts it"):
        Registry(CLOSED, "secret", Path("crane")).digest("pause", "1")


@pytest.mark.tools
def test_an_absent_tag_has_no_digest(registry: Registry) -> None:
    assert registry.digest("pause", "absent") is None


@pytest.mark.tools
def test_d17_to_delete_an_image_that_is_gone_is_fine_and_a_refusal_is_said(registry: Registry) -> None:
    registry.delete("pause", f"sha256:{'0' * 64}")
    with pytest.raises(ImageError, match="refuses the login"):
        replace(registry, password="wrong-one").delete("pause", f"sha256:{'0' * 64}")


@pytest.mark.tools
def test_a_wrong_password_is_said_without_showing_it(registry: Registry) -> None:
    with pytest.raises(ImageError, match="refuses the login of platform; secrets/registry-password") as caught:
        replace(registry, password="wrong-one").digest("pause", "1")
    assert "wrong-one" not in str(caught.value)


@pytest.mark.tools
def test_the_host_is_not_asked_through_a_proxy(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{CLOSED}")
    assert registry.digest("pause", "absent") is None


@pytest.mark.tools
def test_the_login_file_is_private_and_does_not_stay(
    registry: Registry, tmp_path: Path, serve: Callable[..., str]
) -> None:
    with registry._login(tmp_path / "work") as environment:
        (config,) = Path(environment["DOCKER_CONFIG"]).iterdir()
        assert config.stat().st_mode & 0o777 == 0o600
        assert config.parent.stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "work").iterdir()) == []
