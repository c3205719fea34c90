"""Secrets are generated once."""

import base64
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def test_what_is_missing_or_empty_is_generated(library: Callable[[str], ModuleType], tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("value")
    (tmp_path / "cut-short-by-a-power-cut").touch()
    names = ["kept", "cut-short-by-a-power-cut", "new"]
    assert library("generated_secrets").missing(tmp_path, names) == names[1:]


def test_a_secret_is_32_bytes_and_never_looks_like_an_option(library: Callable[[str], ModuleType]) -> None:
    secrets = {library("generated_secrets").generate() for _ in range(300)}
    assert len(secrets) == 300
    assert not [secret for secret in secrets if secret.startswith("-")]
    assert {len(base64.urlsafe_b64decode(secret + "=")) for secret in secrets} == {32}
