"""Which paths ask for an owner, and who may approve."""

import re
from pathlib import Path

import pytest
import yaml

from mlplatform.pulls.rules import OWNED, People, PeopleError, Rules

RULES = Rules(People(frozenset({"owner"}), frozenset({"member"})))


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/report.yml",
        ".gitea/workflows/x.yml",
        ".gitea",
        ".ci/run",
        "scripts/up",
        "SCRIPTS/up",
        "infra/local.py",
        "src/mlplatform/pulls/rules.py",
        "argocd/root.yaml",
        "clusters/local/cluster.yaml",
        "requirements/ci.txt",
        "pyproject.toml",
        "Pulumi.yaml",
        "docs/CODEOWNERS",
        ".gitattributes",
        "apps/classifier/overlays/dev/.gitattributes",
        ".gitmodules",
        ".lfsconfig",
        "apps/classifier/base/deployment.yaml",
        "apps/bot/src/merge_bot/bot.py",
        "apps/bot/Containerfile",
        "apps/runner-controller/pools/cpu/pool.yaml",
        "apps/runner-controller/overlays/platform/kustomization.yaml",
        "apps/classifier/overlays/prod/kustomization.yaml",
        "apps/argocd/overlays/platform/kustomization.yaml",
        ".dvc/config",
        "ml/.dvc/config",
        "ml/other/.dvc/config",
        "ml/src/digits/score.py",
        "ml/evaluation.yaml",
        "conftest.py",
        "pytest.ini",
        ".pytest.ini",
        "pytest.py",
        "tests/conftest.py",
        "tests/ml/conftest.py",
        "ml/src/conftest.py",
        "tests/support/live.py",
    ],
)
def test_an_owner_is_asked(path: str) -> None:
    assert RULES.owned_of((path,), ()) == (path,)


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "docs/adr/README.md",
        "ml/params.yaml",
        "ml/dvc.lock",
        "ml/src/digits/train.py",
        "ml/scripts/x",
        # The gate asks for one itself, unless the test set only grew.
        "ml/data/test.safetensors.dvc",
        "scripts.md",
        "pyproject.toml.txt",
        "apps/classifier/overlays/dev/kustomization.yaml",
        "apps/classifier/overlays/production/kustomization.yaml",
        "ml/.dvc/config.local",
        "tests/ml/test_train.py",
        "ml/service/service.py",
    ],
)
def test_no_owner_is_asked(path: str) -> None:
    assert RULES.owned_of((path,), ()) == ()


def test_the_gates_sections_ask_for_an_owner() -> None:
    assert RULES.owned_of(("ml/params.yaml",), ("ml/params.yaml: gate",)) == ("ml/params.yaml: gate",)


def test_b6_where_main_checks_itself_its_word_is_not_optional() -> None:
    rules = RULES.with_checks()
    assert (rules.required, rules.optional) == (("quality-gate", "ci"), ("infrastructure",))
    assert rules.with_checks() == rules


def test_people_are_read() -> None:
    people = People.parse('{"owners": ["Owner"], "members": ["member"], "approvals": 0}')
    assert people == People(frozenset({"owner"}), frozenset({"member"}), 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[]", "must be an object"),
        ('{"owners": "owner", "members": [], "approvals": 1}', "owners must be a list"),
        ('{"owners": ["owner"], "members": [1], "approvals": 1}', "members must be a list"),
        ('{"owners": ["owner"], "members": []}', "approvals must be"),
        ('{"owners": ["owner"], "members": [], "approvals": true}', "approvals must be"),
        ('{"owners": ["owner"], "members": [], "approvals": -1}', "approvals must be"),
        ('{"owners": [], "members": ["member"], "approvals": 1}', "owners is empty"),
        ('{"owners": ["owner", "ML-Bot"], "members": [], "approvals": 1}', "ml-bot"),
    ],
)
def test_people_that_cannot_be_used_are_refused(text: str, said: str) -> None:
    with pytest.raises(PeopleError, match=said):
        People.parse(text)


def test_the_forge_asks_an_owner_by_itself_for_what_the_rules_ask_one_for() -> None:
    root = Path(__file__).resolve().parents[3]
    lines = [line.split() for line in (root / "docs/CODEOWNERS").read_text().splitlines() if line.startswith("/")]
    # Gitea's way: regular expressions of the whole path. What rules the gate below ml/ is a project's.
    patterns = [
        re.compile(pattern.removeprefix("/"))
        for pattern, *_ in lines
        if "*/" not in pattern and not pattern.startswith("/*")
    ]
    for owned in (one for one in OWNED if not one.startswith(("ml/", "**/"))):
        path = owned.replace("*", "some") + ("file" if owned.endswith("/") else "")
        assert any(pattern.fullmatch(path) for pattern in patterns), owned
    owners = yaml.safe_load((root / "clusters/local/cluster.yaml").read_text())["people"]["owners"]
    assert {name for _, *names in lines for name in names} == {f"@{name}" for name in owners}
