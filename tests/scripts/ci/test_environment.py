"""What a job takes from its environment, and what it says where something is missing."""

import json
import subprocess
from pathlib import Path

import pytest

from ci.environment import Place, event, require, token
from ci.failure import Failure
from forge import ForgeError
from settings import ROOT


def test_the_token_comes_from_the_variable_before_a_file(tmp_path: Path) -> None:
    judge, proposer = tmp_path / "judge", tmp_path / "proposer"
    proposer.write_text("of the proposer\n")

    assert token({"BOT_TOKEN": "from-variable"}, [judge, proposer]) == "from-variable"
    # An Actions secret that does not exist is an empty text; and the runner mounts one of the files.
    assert token({"BOT_TOKEN": ""}, [judge, proposer]) == "of the proposer"
    judge.write_text("of the judge\n")
    assert token({}, [judge, proposer]) == "of the judge"


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_missing_token_is_named_with_its_fix(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)

    with pytest.raises(Failure, match=r"no token: set BOT_TOKEN, or run where the runner mounts .*/token .*scripts/up"):
        token({}, [file])


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(Failure, match="environment variable DATA_BUCKET is not set"):
        require("DATA_BUCKET", {"DATA_BUCKET": ""})


def test_the_forge_comes_from_the_cluster_or_from_github() -> None:
    cluster = {"FORGE_KIND": "gitea", "FORGE_URL": "http://forge/", "FORGE_REPOSITORY": "ml/platform"}
    github = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "team/platform", "GITHUB_RUN_ID": "5"}

    assert Place.from_variables({**github, **cluster}) == Place("gitea", "http://forge", "ml/platform")
    place = Place.from_variables(github)
    assert place == Place("github", "https://github.com", "team/platform")
    assert place.clone_url == "https://github.com/team/platform.git"
    assert place.run_url(github) == "https://github.com/team/platform/actions/runs/5"
    assert place.run_url({}) == ""


def test_d15_a_job_waits_minutes_for_a_forge_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("forge.http.time.sleep", waits.append)
    client = Place("gitea", "http://127.0.0.1:1", "ml/platform").connect("token")
    with pytest.raises(ForgeError, match="Is the forge running"):
        client.account()
    client.close()
    assert 300 <= sum(waits) < 330


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_an_unreadable_event_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "event.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(Failure, match=r"event\.json: the event's payload"):
        event({"GITHUB_EVENT_PATH": str(file)})


def test_an_event_is_read(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps({"action": "opened"}))

    assert event({"GITHUB_EVENT_PATH": str(file)}) == {"action": "opened"}


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--help", "ls"], ["ml"]])
def test_a_command_without_a_group_is_told_the_usage(arguments: list[str]) -> None:
    done = subprocess.run([ROOT / "scripts/ci/environment", *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr[:25]) == (2, "usage: environment GROUP ")
