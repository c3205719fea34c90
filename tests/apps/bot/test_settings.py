"""The bot's environment and its list of people."""

from pathlib import Path

import pytest
import yaml

import facts
from merge_bot.__main__ import main
from merge_bot.settings import Settings, SettingsError, secret
from mlplatform.pulls.rules import PLATFORM, People
from settings import ROOT, load_local
from settings import People as Section
from settings.people import DEFAULT, RESERVED

GOOD = {"FORGE_KIND": "gitea", "FORGE_URL": "http://forge:3000/", "FORGE_REPOSITORY": "ml/platform"}
PEOPLE = '{"owners": ["Owner"], "members": ["member"], "approvals": 1}'


def test_defaults() -> None:
    settings = Settings.from_environment(GOOD)
    assert (settings.forge_url, settings.repository, settings.port) == ("http://forge:3000", "ml/platform", 8080)
    assert (settings.required, settings.optional) == (("quality-gate",), ("ci", "infrastructure"))
    assert settings.administrators == {"platform-admin"}


def test_as_it_is_deployed_it_looks_at_everything_every_30_seconds() -> None:
    """Its variables are those of the Deployment and of the ConfigMap that the Deployment names."""
    deployment = yaml.safe_load((ROOT / "apps/bot/base/deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "cluster-facts"}}]
    own = {one["name"]: one["value"] for one in container.get("env", [])}
    assert Settings.from_environment(facts.forge(load_local("local")) | own).interval == 30


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FORGE_KIND", "github"),
        ("FORGE_URL", "forge:3000"),
        ("FORGE_URL", ""),
        ("FORGE_REPOSITORY", "platform"),
        ("PORT", "http"),
        ("PORT", "70000"),
        ("INTERVAL_SECONDS", "0"),
        ("INTERVAL_SECONDS", "soon"),
        ("REQUIRED_CONTEXTS", " "),
    ],
)
def test_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment(GOOD | {name: value})


def test_people_are_read_anew_at_each_question(tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    settings = Settings.from_environment(GOOD | {"PEOPLE_FILE": str(file)})
    with pytest.raises(SettingsError, match="No such file"):
        settings.rules()
    file.write_text(PEOPLE)
    assert settings.rules().people.all == {"owner", "member"}
    file.write_text(PEOPLE.replace('"member"', '"another"'))
    assert settings.rules().people.all == {"owner", "another"}
    file.write_text("{")
    with pytest.raises(SettingsError, match=r"people\.json: is not JSON"):
        settings.rules()


def test_a_secret_that_is_missing_or_empty_is_named_and_never_quoted(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="token cannot be read"):
        secret(tmp_path / "token")
    (tmp_path / "token").write_text("\n")
    with pytest.raises(SettingsError, match="token is empty"):
        secret(tmp_path / "token")
    (tmp_path / "token").write_text("vällig")
    with pytest.raises(SettingsError) as caught:
        secret(tmp_path / "token")
    assert "llig" not in str(caught.value)


def test_wrong_setting_ends_with_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("FORGE_KIND", raising=False)
    assert main() == 2
    assert capsys.readouterr().err.startswith("bot: FORGE_KIND is ''")


def test_the_people_of_a_cluster_are_the_bots() -> None:
    """A cluster.yaml without the key names the accounts of a platform as scripts/up makes it."""
    people = Section.model_validate(DEFAULT)
    assert People.parse(people.document) == People(frozenset({"owner"}), frozenset({"member"}), 1)
    assert PLATFORM < RESERVED
