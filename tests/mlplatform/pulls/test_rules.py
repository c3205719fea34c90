"""Which paths ask for an owner, and who may approve."""

import pytest

from mlplatform.pulls.rules import People, PeopleError, Rules

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
        "apps/classifier/base/deployment.yaml",
        "apps/bot/src/merge_bot/bot.py",
        "apps/classifier/overlays/prod/kustomization.yaml",
        ".dvc/config",
        "ml/.dvc/config",
        "ml/other/.dvc/config",
        "ml/data/digits.dvc",
        "ml/src/digits/evaluate.py",
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
        "scripts.md",
        "pyproject.toml.txt",
        "apps/classifier/overlays/dev/kustomization.yaml",
        "apps/classifier/overlays/production/kustomization.yaml",
        "ml/.dvc/config.local",
    ],
)
def test_no_owner_is_asked(path: str) -> None:
    assert RULES.owned_of((path,), ()) == ()


def test_the_gates_sections_ask_for_an_owner() -> None:
    assert RULES.owned_of(("ml/params.yaml",), ("ml/params.yaml: gate",)) == ("ml/params.yaml: gate",)


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
