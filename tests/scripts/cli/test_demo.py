"""The demo's report has the agreed form, and a place where it cannot be written is refused at once."""

import io
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from cli import demo
from cli.failure import BadInput
from cli.links import Link
from cli.loop import Loop
from cli.steps import Runner, Step
from forge import Forge, PullRequest
from settings import Cluster, Paths


def pull(number: int) -> PullRequest:
    return PullRequest(
        number, f"Title {number}", "", f"http://f/{number}", "member", False, True, "b", "s", "r", "main", "m"
    )


class OneForge:
    """Knows its pull requests, merged by now."""

    def pull_request(self, number: int) -> PullRequest:
        return pull(number)


def test_the_report_has_the_agreed_form(cluster: Cluster, tmp_path: Path) -> None:
    runner = Runner(Console(file=io.StringIO()), tmp_path, "demo")
    runner.run([Step("propose", "Propose", lambda context: "#1")])
    paths = Paths(state=tmp_path, cache=tmp_path)
    loop = Loop(cluster, paths, cast(Forge, OneForge()), lambda text, tried: text, training=pull(1), deployment=pull(2))
    loop.reference, loop.digest = "registry/classifier@sha256:1", "sha256:1"
    loop.prediction = {"expected": 4, "label": 4, "probability": 0.99}
    document: dict[str, Any] = demo.report(runner, loop, [Link("forge", "http://f")])
    assert [step["name"] for step in document["steps"]] == ["propose"]
    assert document["pull_requests"][1] == {"number": 2, "title": "Title 2", "url": "http://f/2", "merged": True}
    assert document["image"] == {"reference": "registry/classifier@sha256:1", "digest": "sha256:1"}
    assert document["metrics"] == {"baseline": None, "candidate": None}
    assert document["prediction"] == {"expected": 4, "label": 4, "probability": 0.99}
    assert document["promotions"] == []
    assert document["urls"] == {"forge": "http://f"}


def test_a_report_needs_a_folder_that_is_there(tmp_path: Path) -> None:
    assert demo._writable(None) is None
    assert demo._writable(str(tmp_path / "report.json")) == tmp_path / "report.json"
    for wrong in (tmp_path, tmp_path / "missing" / "report.json"):
        with pytest.raises(BadInput):
            demo._writable(str(wrong))


@pytest.mark.parametrize(("to", "more"), [("", []), ("staging", ["staging"]), ("prod", ["staging", "prod"])])
def test_a_release_is_promoted_as_far_as_asked(cluster: Cluster, tmp_path: Path, to: str, more: list[str]) -> None:
    loop = Loop(cluster, Paths(tmp_path, tmp_path), cast(Forge, OneForge()), lambda text, tried: text)
    steps = loop.steps(to)
    assert [step.name for step in steps][7:] == ["predict", *more]
    assert [step.after for step in steps] == [(), *((step.name,) for step in steps[:-1])]
