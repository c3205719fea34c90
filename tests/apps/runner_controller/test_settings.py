"""The controller's environment."""

import pytest

from runner_controller.__main__ import main
from runner_controller.settings import Settings, SettingsError
from runner_controller.upload import Store

GOOD = {"FORGE_KIND": "gitea", "FORGE_URL": "http://forge:3000/", "FORGE_REPOSITORY": "ml/platform"}


def test_defaults() -> None:
    settings = Settings.from_environment(GOOD)
    assert (settings.forge_url, settings.repository) == ("http://forge:3000", "ml/platform")
    assert (settings.trusted_ref, settings.port) == ("refs/heads/main", 8080)
    assert settings.store is None


def test_where_runs_leave_what_they_make() -> None:
    facts = {"OBJECT_STORE_ENDPOINT": "http://store:7070", "AWS_REGION": "us-east-1", "DATA_BUCKET": "data"}
    assert Settings.from_environment(GOOD | facts).store == Store("http://store:7070", "us-east-1", "data")
    for name in ("AWS_REGION", "DATA_BUCKET"):
        with pytest.raises(SettingsError, match=name):
            Settings.from_environment(GOOD | facts | {name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FORGE_KIND", "github"),
        ("FORGE_URL", "forge:3000"),
        ("FORGE_URL", ""),
        ("FORGE_REPOSITORY", "platform"),
        ("PORT", "http"),
        ("PORT", "70000"),
    ],
)
def test_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment(GOOD | {name: value})


def test_wrong_setting_ends_with_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("FORGE_KIND", raising=False)
    assert main() == 2
    assert capsys.readouterr().err.startswith("runner-controller: FORGE_KIND is ''")
