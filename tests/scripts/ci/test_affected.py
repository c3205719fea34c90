"""Which stacks a change affects, and in which order they are applied."""

import re
from dataclasses import dataclass

import pytest

from ci.affected import Stack, affected, is_program, known
from settings import ROOT

SHARED = Stack("shared", "")
DEV, STAGING, PROD = (Stack(name, "shared") for name in ("dev", "staging", "prod"))
ALL = [SHARED, DEV, STAGING, PROD]


@dataclass
class Files:
    """A commit's files."""

    content: dict[str, str]

    def read(self, path: str) -> bytes | None:
        return self.content[path].encode() if path in self.content else None

    def files(self, folder: str) -> list[str]:
        return sorted(path for path in self.content if path.startswith(f"{folder}/"))


def test_what_the_program_imports_is_part_of_it() -> None:
    imported = set()
    for path in (ROOT / "infra").rglob("*.py"):
        if is_program(path.relative_to(ROOT).as_posix()):
            imported |= set(re.findall(r"^from (mlplatform[\w.]*)", path.read_text(), re.MULTILINE))
    assert imported
    for name in imported:
        place = "src/" + name.replace(".", "/")
        assert is_program(f"{place}/x.py"), f"{name}: add it to PROGRAM, and to the paths of preview.yml and apply.yml"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("clusters/dev/cluster.yaml", ["dev"]),
        ("clusters/Pulumi.prod.yaml", ["prod"]),
        # Every stage reads what they share.
        ("clusters/shared/cluster.yaml", ["shared", "dev", "staging", "prod"]),
        ("clusters/local/cluster.yaml", []),
        ("infra/components/network.py", ["shared", "dev", "staging", "prod"]),
        ("infra/__main__.py", ["shared", "dev", "staging", "prod"]),
        ("infra/policy/rules/flow_logs.py", ["shared", "dev", "staging", "prod"]),
        ("argocd/install/kustomization.yaml", ["shared", "dev", "staging", "prod"]),
        ("argocd/root.yaml", ["shared", "dev", "staging", "prod"]),
        ("requirements/ops.txt", ["shared", "dev", "staging", "prod"]),
        ("src/mlplatform/network/egress.py", ["shared", "dev", "staging", "prod"]),
        ("src/mlplatform/evaluation/score.py", []),
        ("Pulumi.yaml", ["shared", "dev", "staging", "prod"]),
        # The version of Argo CD that is installed.
        ("infra/toolchain/go/argocd/go.mod", ["shared", "dev", "staging", "prod"]),
        ("infra/toolchain/go/gitea/go.mod", []),
        ("infra/ansible/site.yml", []),
        ("infra/bootstrap/__main__.py", []),
        ("infra/images/python/Containerfile", []),
        ("argocd/applicationsets/apps.yaml", []),
        ("apps/classifier/base/deployment.yaml", []),
        ("ml/params.yaml", []),
        ("README.md", []),
        ("clusters/development/cluster.yaml", []),
        ("other/infra/x.py", []),
    ],
)
def test_a_path_affects(path: str, names: list[str]) -> None:
    assert affected([path], ALL) == names
    assert affected(["README.md", path], ALL) == names


def test_several_paths_affect_each_stack_once_and_in_order() -> None:
    paths = ["clusters/prod/cluster.yaml", "clusters/dev/cluster.yaml", "clusters/Pulumi.dev.yaml"]
    assert affected(paths, ALL) == ["dev", "prod"]
    assert affected([], ALL) == []


def test_a_stage_by_itself_is_affected_by_what_it_reads() -> None:
    assert affected(["clusters/shared/cluster.yaml"], [DEV]) == ["dev"]


def test_what_stages_read_comes_first_and_they_follow_as_it_lists_them() -> None:
    tree = Files(
        {
            "clusters/dev/cluster.yaml": "provider: aws\nshared: base\n",
            "clusters/prod/cluster.yaml": "provider: aws\nshared: base\n",
            "clusters/lab/cluster.yaml": "provider: aws\nshared: base\n",
            "clusters/base/cluster.yaml": "provider: aws-shared\nstages: [prod, dev]\n",
            "clusters/local/cluster.yaml": "provider: local\n",
            "clusters/Pulumi.dev.yaml": "config: {}\n",
            "clusters/dev/notes/cluster.yaml": "provider: aws\n",
        }
    )
    assert known(tree) == [Stack("base", ""), *(Stack(name, "base") for name in ("prod", "dev", "lab"))]


@pytest.mark.parametrize("text", ["- a list", "provider: [", "&a [*a]", "stages: x\nprovider: aws-shared\n"])
def test_a_file_that_nobody_understands_is_a_stack_whose_preview_says_why(text: str) -> None:
    assert [stack.name for stack in known(Files({"clusters/dev/cluster.yaml": text}))] == ["dev"]


def test_a_repository_without_aws_has_no_stacks() -> None:
    assert known(Files({"clusters/local/cluster.yaml": "name: local\n", "README.md": ""})) == []
