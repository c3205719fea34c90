"""Where this host keeps the platform's state and cache, and its secrets."""

from pathlib import Path

import pytest

from settings import Paths, SettingsError


def test_paths_have_defaults_and_follow_the_environment() -> None:
    assert Paths.from_environment({}) == Paths(Path("/var/lib/ml-platform"), Path("/var/cache/ml-platform"))
    paths = Paths.from_environment({"ML_PLATFORM_STATE_DIR": "/a", "ML_PLATFORM_CACHE_DIR": "/b"})
    assert (paths.secrets, paths.kubeconfig, paths.bin) == (
        Path("/a/secrets"),
        Path("/a/kubernetes/admin.conf"),
        Path("/b/bin"),
    )


@pytest.mark.parametrize("value", ["relative", "/", "~/state"])
def test_a_directory_that_would_do_harm_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"ML_PLATFORM_STATE_DIR: .* is not an absolute directory below /"):
        Paths.from_environment({"ML_PLATFORM_STATE_DIR": value})


def test_a_secret_is_its_file_without_the_newline(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path)
    with pytest.raises(SettingsError, match=r"secrets/token: cannot be read .*; scripts/up generates it"):
        paths.secret("token")
    paths.secrets.mkdir()
    (paths.secrets / "token").write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        paths.secret("token")
    (paths.secrets / "token").write_text("value\n")
    assert paths.secret("token") == "value"
