"""Pull requests from opening to judgement: real forge, real events, real object store, real DVC.

Only the pod is missing: a job's script runs in a fresh checkout, started by the task that the forge gave to its runner.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

pytestmark = pytest.mark.tools

Project = Any
OPENED = ("train.yml pull_request", "report.yml pull_request_target")
TRAINED = "report.yml workflow_run"


def parameters(learning_rate: float, tolerance: float = 0.005) -> dict[str, str]:
    text = f"""
prepare: {{seed: 20, validation_fraction: 0.3}}
train: {{seed: 7, epochs: 4, batch_size: 64, learning_rate: {learning_rate}, channels: 16, dropout: 0.2, shift: 0}}
evaluate: {{parity_tolerance: 0.0001}}
gate: {{tolerance: {tolerance}}}
"""
    return {"ml/params.yaml": text}


def train(project: Project, pull: Any) -> str:
    """Let the forge's jobs bring a pull request that needs training to its judged head, and return that head."""
    tasks = project.take(*OPENED)
    project.run(tasks[OPENED[1]])
    project.run(tasks[OPENED[0]])
    project.run(project.take(TRAINED)[TRAINED])
    head: str = project.member.pull_request(pull.number).head_sha
    # The bot's commit starts both again; the lock is fresh now.
    tasks = project.take(*OPENED)
    assert "the lock is fresh: nothing to train" in project.run(tasks[OPENED[0]])
    project.run(tasks[OPENED[1]])
    project.run(project.take(TRAINED)[TRAINED])
    assert project.member.pull_request(pull.number).head_sha == head
    return head


def test_the_first_pull_request_is_trained_judged_and_merged_and_a_worse_one_refused(
    new_project: Callable[[Mapping[str, str]], Project],
) -> None:
    project = new_project({})

    # Main has never been trained, and nothing but the data was ever pushed.
    pull = project.propose("first", parameters(0.98))
    tasks = project.take(*OPENED)
    project.run(tasks[OPENED[1]])
    waiting = project.gate(pull.head_sha)
    assert (waiting.state, waiting.description) == ("pending", "training")
    assert "waiting for training" in project.report(pull.number)
    assert "| `train.learning_rate` | `0.97` | `0.98` |" in project.report(pull.number)

    output = project.run(tasks[OPENED[0]])
    assert "ml/dvc.lock is missing" in output
    output = project.run(project.take(TRAINED)[TRAINED])
    head = project.member.pull_request(pull.number).head_sha
    assert f"committed {head} on first" in output
    assert project.git("ls-remote", "origin", "first").split()[0] == head
    project.git("fetch", "--quiet", "origin")
    assert project.git("diff", "--name-only", pull.head_sha, head).splitlines() == [
        "ml/dvc.lock",
        "ml/metrics.json",
        "ml/plots/confusion.csv",
        "ml/plots/curves.csv",
    ]
    assert project.git("log", "-1", "--format=%an <%ae>", head) == "ml-bot <ml-bot@users.noreply.localhost>"
    assert project.gate(head).state == "success"
    assert project.gate(head).description == "accuracy 0.9800; main has no model yet"
    report = project.report(pull.number)
    assert report.count("```mermaid") == 2
    assert head in report

    # The bot's commit starts both jobs again; the lock is fresh now, so nothing is trained or committed.
    tasks = project.take(*OPENED)
    assert "the lock is fresh: nothing to train" in project.run(tasks[OPENED[0]])
    project.run(tasks[OPENED[1]])
    project.run(project.take(TRAINED)[TRAINED])
    assert project.member.pull_request(pull.number).head_sha == head
    assert project.report(pull.number) == report
    assert project.gate(head).state == "success"
    project.member.merge_pull_request(pull.number, head)
    project.take("release.yml push")

    # A worse model that allows itself to be worse: main's tolerance counts.
    pull = project.propose("worse", parameters(0.95, tolerance=0.5))
    head = train(project, pull)
    assert project.gate(head).state == "failure"
    assert project.gate(head).description == "accuracy 0.9500, main 0.9800 (-0.0300): it may fall by 0.005 at most"
    report = project.report(pull.number)
    assert "| `accuracy` | 0.98 | 0.95 | -0.03 |" in report
    assert "| `gate.tolerance` | `0.005` | `0.5` |" in report
    assert "judges by main's own `gate` parameters" in report

    # Within main's tolerance.
    pull = project.propose("alike", parameters(0.976))
    head = train(project, pull)
    assert project.gate(head).state == "success"
    assert project.gate(head).description == "accuracy 0.9760, main 0.9800 (-0.0040)"

    # A lock that is fresh by hand, with metrics that the lock does not record.
    metrics = {"accuracy": 0.99, "loss": 0.01, "recall": {"0": 0.99}}
    forged = project.propose("forged", {"ml/metrics.json": json.dumps(metrics)})
    tasks = project.take(*OPENED)
    project.run(tasks[OPENED[1]])
    assert project.gate(forged.head_sha).state == "pending"


def test_what_main_never_pushed_is_made_anew(new_project: Callable[[Mapping[str, str]], Project]) -> None:
    project = new_project({})
    pull = project.propose("first", parameters(0.98))
    project.member.merge_pull_request(pull.number, train(project, pull))
    project.finish(project.take("release.yml push")["release.yml push"])
    project.git("fetch", "--quiet", "origin")
    project.git("checkout", "--quiet", "-B", "main", "origin/main")
    project.lose_outputs()

    # The lock is fresh, but the store has none of what it names: that is trained, and there is nothing to commit.
    pull = project.propose("readme", {"ml/README.md": "text\n"})
    tasks = project.take(*OPENED)
    assert "ml/model/model.onnx is not in the object store" in project.run(tasks[OPENED[1]])
    assert project.gate(pull.head_sha).state == "pending"
    project.run(tasks[OPENED[0]])
    project.run(project.take(TRAINED)[TRAINED])
    assert project.member.pull_request(pull.number).head_sha == pull.head_sha
    assert project.gate(pull.head_sha).state == "success"

    # A change of one stage needs what the stage before it made.
    project.lose_outputs()
    pull = project.propose("second", parameters(0.985))
    assert project.gate(train(project, pull)).state == "success"


def test_a_pull_request_that_changes_nothing_under_ml_passes_at_once(
    new_project: Callable[[Mapping[str, str]], Project],
) -> None:
    project = new_project({})
    pull = project.propose("docs", {"README.md": "text\n"})
    tasks = project.take(*OPENED)

    project.run(tasks[OPENED[1]])

    assert project.gate(pull.head_sha).state == "success"
    assert project.gate(pull.head_sha).description == "nothing under ml/ changed"
    assert project.member.comments(pull.number) == []
    assert "nothing under ml/ changed: nothing to train" in project.run(tasks[OPENED[0]])


def test_a2_a_good_model_does_not_bring_somebody_elses_image_with_it(
    new_project: Callable[[Mapping[str, str]], Project],
) -> None:
    project = new_project({})
    overlay = f"images: [{{name: quay.io/brand/cache, digest: 'sha256:{'c' * 64}'}}]\n"
    files = {**parameters(0.98), "apps/classifier/overlays/dev/kustomization.yaml": overlay}
    pull = project.propose("both", files)

    status = project.gate(train(project, pull))

    assert status.state == "pending"
    assert status.description.startswith("main cannot judge apps/classifier/overlays/dev (quay.io/brand/cache@sha256:c")
    assert "Quality gate: an owner decides" in project.report(pull.number)
    assert "accuracy 0.9800; main has no model yet" in project.report(pull.number)


def test_failed_training_fails_the_gate_and_links_to_its_run(
    new_project: Callable[[Mapping[str, str]], Project],
) -> None:
    project = new_project({})
    pull = project.propose("diverges", parameters(2.0))
    tasks = project.take(*OPENED)
    project.run(tasks[OPENED[1]])
    output = project.run(tasks[OPENED[0]], expected=2)
    assert "error: dvc repro failed" in output
    project.run(project.take(TRAINED)[TRAINED])

    status = project.gate(pull.head_sha)
    assert (status.state, status.description) == ("failure", "training ended with failure: its log says why")
    assert status.target_url.endswith(f"/actions/runs/{tasks[OPENED[0]]['context']['run_id']}")
    assert status.target_url in project.report(pull.number)


def test_a_branch_that_moved_while_it_trained_is_left_alone(
    new_project: Callable[[Mapping[str, str]], Project],
) -> None:
    project = new_project({})
    pull = project.propose("moving", parameters(0.98))
    tasks = project.take(*OPENED)
    project.run(tasks[OPENED[0]])
    report = project.take(TRAINED)[TRAINED]
    newer = project.push("moving", {"ml/params.yaml": parameters(0.99)["ml/params.yaml"]})

    output = project.run(report)

    assert "nothing to report" in output
    assert project.git("ls-remote", "origin", "moving").split()[0] == newer
    assert project.member.status(pull.head_sha, "quality-gate", "bot") is None


def test_data_that_the_object_store_lacks_stops_training_with_its_fix(
    new_project: Callable[[Mapping[str, str]], Project],
) -> None:
    project = new_project({})
    pointer = (project.root / "ml/data/digits.dvc").read_text()
    broken = re.sub(r"md5: \w+\.dir", f"md5: {'0' * 32}.dir", pointer)
    project.propose("lost", {"ml/data/digits.dvc": broken})

    output = project.run(project.take(*OPENED)[OPENED[0]], expected=2)

    assert "ml/data/digits: the object store lacks it" in output


def test_s28_only_the_bots_commit_names_the_run_that_trained_it(
    new_project: Callable[[Mapping[str, str]], Project],
) -> None:
    project = new_project({})
    pull = project.propose("first", parameters(0.98))
    head = train(project, pull)
    believed = re.findall(r"\[Training run\]\((.+?)\)", project.report(pull.number))
    assert len(believed) == 1
    message = f"Record the training of {pull.head_sha[:10]}\n\nTrained by {believed[0]}"
    bot = "ml-bot <ml-bot@users.noreply.localhost>"
    as_bot = ["-c", "user.name=ml-bot", "-c", "user.email=ml-bot@users.noreply.localhost"]
    project.git("fetch", "--quiet", "origin")

    def pushed(branch: str, start: str, names: list[str], author: str, text: str) -> str:
        project.git("checkout", "--quiet", "-B", branch, start)
        project.git("checkout", "--quiet", head, "--", "ml")
        (project.root / "ml/README.md").write_text(branch)
        project.git("add", "--all")
        project.git(*names, "commit", "--quiet", f"--author={author}", "--message", text)
        project.git("push", "--quiet", "origin", branch)
        forged = project.member.create_pull_request(branch, "", branch, "main")
        tasks = project.take(*OPENED)
        project.run(tasks[OPENED[1]])
        project.finish(tasks[OPENED[0]])
        project.drop(TRAINED)
        assert project.gate(forged.head_sha).state == "success"
        return str(project.report(forged.number))

    member = "member <member@example.invalid>"
    # In the place of the bot's commit, with a name other than the bot's.
    trained = pull.head_sha
    assert "[Training run]" not in pushed("author", trained, [], bot, message)
    assert "[Training run]" not in pushed("committer", trained, as_bot, member, message)
    # With the bot's whole name: a run of another commit than this one's parent, and a run that is nobody's.
    assert "[Training run]" not in pushed("other-head", head, as_bot, bot, message)
    unknown = re.sub(r"\d+$", "999999", message)
    assert "[Training run]" not in pushed("no-run", trained, as_bot, bot, unknown)
