"""Environments on AWS by the verbs: provisioned, destroyed, refused; the real engine against an emulated account.

The program is a small one; the stacks themselves are tested in tests/infra, and emptying a cluster in test_drain.py.
"""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from cli import aws, aws_down, aws_up
from cli.aws import Environment
from cli.failure import BadInput, Failure
from cli.steps import Runner
from control_plane.stack import cache
from emulator.process import Emulator, emulator
from example import ACCOUNT, EXAMPLE, REPOSITORY
from mlplatform.plugins.change import Refused
from mlplatform.plugins.record import Record
from plugins import install
from settings import ROOT, Paths

PROGRAM = """
import pulumi
import pulumi_aws as aws

import providers
from aws import tags
from settings import AwsShared, load_cluster

cluster = load_cluster(pulumi.get_stack())
here = pulumi.ResourceOptions(provider=providers.aws_account(cluster), protect=cluster.protect)
logs = aws.cloudwatch.LogGroup("logs", retention_in_days=7, tags=tags.tags(cluster.name, "logs"), opts=here)
if isinstance(cluster, AwsShared):
    pulumi.export("registry_host", "registry.example")
else:
    shared = pulumi.StackReference(f"organization/ml-platform/{cluster.shared}")
    pulumi.export("registry", shared.require_output("registry_host"))
"""


def write_cluster(root: Path, name: str, **changes: Any) -> None:
    document = {**yaml.safe_load((EXAMPLE / "clusters" / name / "cluster.yaml").read_text()), **changes}
    path = root / "clusters" / name / "cluster.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t.invalid", *arguments], cwd=root, check=True)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("aws"), "--no-api-servers", "--prepared") as running:
        yield running


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """`dev` in a checkout whose main is on a forge; nobody is logged in."""
    root = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "ansible", "images", "toolchain", "bootstrap")
    shutil.copytree(ROOT / "infra", root / "infra", ignore=ignored)
    (root / "infra" / "__main__.py").write_text(PROGRAM)
    for name in ("Pulumi.yaml", ".gitignore"):
        shutil.copy(ROOT / name, root)
    write_cluster(root, "dev")
    write_cluster(root, "shared", stages=["dev"], protect=False)
    git(root, "init", "--quiet", "--initial-branch=main", ".")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "All")
    # The address that cluster.yaml names leads to the test's own forge.
    forge = tmp_path / "forge.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(root), str(forge))
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "{forge}"]\n\tinsteadOf = https://github.com/{REPOSITORY}.git\n')
    monkeypatch.setenv("HOME", str(home))
    paths = Paths(tmp_path / "state", tmp_path / "cache")
    base = {"HOME": str(home), "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    return Environment(aws.load("dev", root), paths, base, root)


def logged_in(environment: Environment, account: Emulator) -> Environment:
    return replace(environment, base={**environment.base, **account.variables})


def run(steps: Any, tmp_path: Path) -> dict[str, str]:
    """Run steps; returns what each noted."""
    runner = Runner(Console(file=io.StringIO()), tmp_path / "logs", "test")
    runner.run(steps)
    return {result.name: result.note for result in runner.results}


def without_tools(steps: Any) -> Any:
    """The steps, whose tools are there already."""
    return [replace(step, action=lambda context: "") if step.name == "tools" else step for step in steps]


def merge(environment: Environment, name: str, **changes: Any) -> Environment:
    """A change that is merged: in the checkout and on the forge's main."""
    write_cluster(environment.root, name, **changes)
    git(environment.root, "commit", "--quiet", "--all", "--message", "Change")
    git(environment.root, "push", "--quiet", str(environment.root.parent / "forge.git"), "main")
    return environment.beside(environment.cluster.name)


class TestCredentials:
    def test_without_any_one_line_says_how_to_log_in(self, dev: Environment) -> None:
        with pytest.raises(BadInput, match="there are no AWS credentials here") as caught:
            dev.check_credentials()
        assert f"log in to account {ACCOUNT}" in caught.value.fix

    @pytest.mark.tools
    def test_those_of_another_account_are_refused(self, dev: Environment, account: Emulator) -> None:
        there = logged_in(dev, account)
        assert there.check_credentials().startswith("arn:aws:")
        elsewhere = replace(there, cluster=there.cluster.model_copy(update={"account": "210987654321"}))
        with pytest.raises(BadInput, match=f"are of account {ACCOUNT}, and dev is in 210987654321"):
            elsewhere.check_credentials()

    def test_an_environment_must_be_one_on_aws(self) -> None:
        with pytest.raises(BadInput, match=r"clusters/local/cluster.yaml: provider: is 'local', which is not on AWS"):
            aws.load("local")


class TestProtection:
    """What counts is main on the forge; nothing is asked of AWS before."""

    def test_what_main_does_not_protect_may_go(self, dev: Environment) -> None:
        aws_down.check_allowed(dev)

    def test_what_main_protects_stays_whatever_the_checkout_says(self, dev: Environment) -> None:
        merge(dev, "dev", protect=True)
        write_cluster(dev.root, "dev", protect=False)
        with pytest.raises(BadInput, match=r"dev is protected: clusters/dev/cluster.yaml on main does not say"):
            aws_down.check_allowed(dev.beside("dev"))
        # Nor does a commit that nobody merged count.
        git(dev.root, "commit", "--quiet", "--all", "--message", "Lift it")
        with pytest.raises(BadInput, match="dev is protected"):
            aws_down.check_allowed(dev.beside("dev"))

    def test_a_merged_change_lifts_it_but_not_for_an_old_checkout(self, dev: Environment) -> None:
        protected = merge(dev, "dev", protect=True)
        lifted = merge(dev, "dev", protect=False)
        aws_down.check_allowed(lifted)
        with pytest.raises(BadInput, match="protect: is true here and false on main"):
            aws_down.check_allowed(protected)

    def test_a_forge_that_cannot_be_asked_is_no_permission(self, dev: Environment, tmp_path: Path) -> None:
        shutil.rmtree(tmp_path / "forge.git")
        with pytest.raises(BadInput, match="cannot be read, and it says whether dev is protected"):
            aws_down.check_allowed(dev)

    def test_production_as_it_is_in_this_repository_is_protected(self, dev: Environment) -> None:
        assert aws.load("prod").protect
        assert aws.load("shared").protect


@pytest.mark.tools
def test_up_brings_what_stages_share_first_and_down_leaves_nothing(
    dev: Environment, account: Emulator, tmp_path: Path
) -> None:
    cache(dev.paths.cache)
    there = logged_in(dev, account)
    notes = run(without_tools(aws_up.steps(there)), tmp_path)
    assert list(notes) == ["credentials", "tools", "shared", "stack"]
    assert "created" in notes["shared"]
    assert "created" in notes["stack"]
    notes = run(without_tools(aws_up.steps(there)), tmp_path)
    assert notes["shared"] == "is there"
    assert "unchanged" in notes["stack"]
    assert "created" not in notes["stack"]
    status = subprocess.run(["git", "status", "--porcelain"], cwd=dev.root, capture_output=True, text=True)
    assert status.stdout == ""

    with pytest.raises(Failure, match="dev still reads shared") as caught:
        run(aws_down.steps(there.beside("shared")), tmp_path)
    assert "scripts/down --environment dev" in caught.value.fix

    vpc = account.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    account.client("ec2").create_tags(Resources=[vpc], Tags=[{"Key": "Environment", "Value": "dev"}])
    with pytest.raises(Failure, match=f"1 things of dev are left on AWS: arn:aws:ec2:.*{vpc}"):
        run(aws_down.steps(there), tmp_path)
    account.client("ec2").delete_vpc(VpcId=vpc)
    assert run(aws_down.steps(there), tmp_path)["inventory"] == "nothing"
    assert run(aws_down.steps(there.beside("shared")), tmp_path)["inventory"] == "nothing"


@pytest.mark.infrastructure
@pytest.mark.tools
def test_what_the_state_still_protects_is_not_destroyed(dev: Environment, account: Emulator, tmp_path: Path) -> None:
    cache(dev.paths.cache)
    there = logged_in(merge(dev, "dev", protect=True), account)
    run(without_tools(aws_up.steps(there)), tmp_path)
    lifted = logged_in(merge(dev, "dev", protect=False), account)
    aws_down.check_allowed(lifted)
    with pytest.raises(Failure, match="its state still protects logs") as caught:
        run(aws_down.steps(lifted), tmp_path)
    assert "scripts/up --environment dev" in caught.value.fix
    run(without_tools(aws_up.steps(lifted)), tmp_path)
    assert run(aws_down.steps(lifted), tmp_path)["inventory"] == "nothing"
    run(aws_down.steps(lifted.beside("shared")), tmp_path)


@pytest.mark.providers
@pytest.mark.tools
def test_p3_up_lets_no_other_plugins_replace_or_delete(dev: Environment, account: Emulator, tmp_path: Path) -> None:
    cache(dev.paths.cache)
    there = logged_in(dev, account)
    run(without_tools(aws_up.steps(there)), tmp_path)
    record, now = Record(there.prepare(print, create=False), there.root), install.plugins(dev.paths)
    assert record.read() == now
    others = {replace(one, source="official") for one in now}
    record.write(others)
    program = there.root / "infra" / "__main__.py"
    text = program.read_text()
    program.write_text(text.replace('LogGroup("logs"', 'LogGroup("others"'))
    with pytest.raises(Refused, match="would be replaced or deleted: delete aws:cloudwatch/logGroup:LogGroup logs"):
        run(without_tools(aws_up.steps(there)), tmp_path)
    assert record.read() == others
    program.write_text(text)
    run(without_tools(aws_up.steps(there)), tmp_path)
    assert record.read() == now
    run(aws_down.steps(there), tmp_path)
    run(aws_down.steps(there.beside("shared")), tmp_path)


@pytest.mark.parametrize("verb", ["up", "down"])
def test_the_verbs_say_what_is_wrong_in_a_line(verb: str, tmp_path: Path) -> None:
    nobody = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "ML_PLATFORM_CACHE_DIR": str(Paths.from_environment().cache),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, said in (("nowhere", "there is no cluster 'nowhere'"), ("local", "which is not on AWS")):
        done = subprocess.run(
            [ROOT / "scripts" / verb, "--environment", name], env=nobody, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
