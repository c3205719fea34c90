"""Maps the paths that a pull request changes to the jobs of `ci.yml` that must pass, and each job to the tests it runs.

Main's copy says which jobs must have passed; the branch's own copy says what its jobs run, so a branch that guts its
tests shows that by its own change, which an owner has to approve.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

CHECK, UNIT, RENDER = "check", "unit", "render"
JOBS = (CHECK, UNIT, RENDER)
ALL = "tests"

Targets = Mapping[str, tuple[str, ...]]

NOTHING: Targets = {}
EVERYTHING: Targets = {CHECK: (), UNIT: (ALL,), RENDER: (ALL,)}
_TEXT: Targets = {UNIT: ("tests/test_readme.py", "tests/test_tree.py")}

# The first pattern that matches counts; whatever matches none needs everything. `*` stands for a part of a path, `**`
# for any number of them.
RULES: tuple[tuple[str, Targets], ...] = (
    # What training and deployments change: the gate judges it.
    ("ml/**/params.yaml", NOTHING),
    ("ml/**/dvc.lock", NOTHING),
    ("ml/**/metrics.json", NOTHING),
    ("ml/**/plots/**", NOTHING),
    ("**/*.dvc", NOTHING),
    ("docs/results/*", NOTHING),
    ("LICENSE", NOTHING),
    ("docs/CODEOWNERS", {UNIT: ("tests/mlplatform/pulls",)}),
    ("docs/**", _TEXT),
    ("*.md", _TEXT),
    ("**/*.md", _TEXT),
    ("apps/*/overlays/**", {CHECK: (), RENDER: ("tests/apps", "tests/argocd")}),
    ("apps/bot/src/**", {CHECK: (), UNIT: ("tests/apps/bot", "tests/mlplatform/pulls")}),
    ("apps/runner-controller/src/**", {CHECK: (), UNIT: ("tests/apps/runner_controller",)}),
    ("apps/**", {CHECK: (), UNIT: ("tests/apps", "tests/attacks"), RENDER: ("tests/apps", "tests/argocd")}),
    ("argocd/**", {CHECK: (), UNIT: ("tests/argocd",), RENDER: ("tests/apps", "tests/argocd")}),
    ("ml/**", {CHECK: (), UNIT: ("tests/ml", "tests/test_tree.py")}),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change needs: tests by job. Of `check` there is nothing to choose."""

    targets: Targets

    @property
    def jobs(self) -> tuple[str, ...]:
        """The jobs that must pass, in their order."""
        return tuple(job for job in JOBS if job in self.targets)


def plan(paths: Iterable[str], is_digest: Callable[[str], bool] = lambda path: False) -> Plan:
    """What the changed paths need.

    Args:
        is_digest: whether nothing of the overlay at a path differs but digests of images, which the gate judges.
    """
    found: dict[str, set[str]] = {}
    for path in paths:
        for job, targets in (NOTHING if is_digest(path) else of(path)).items():
            found.setdefault(job, set()).update(targets)
    return Plan({job: _least(found[job]) for job in JOBS if job in found})


def of(path: str) -> Targets:
    """What one path needs."""
    if path.startswith("tests/"):
        return _of_tests(path)
    return next((targets for pattern, targets in RULES if _expression(pattern).fullmatch(path)), EVERYTHING)


def _of_tests(path: str) -> Targets:
    """A test is run; what tests share may concern each of them."""
    own = re.fullmatch(r".*/test_\w+\.py", path)
    shared = path.startswith(("tests/support/", "tests/example/")) or path == "tests/conftest.py"
    where = (path if own else ALL if shared else path.rpartition("/")[0],)
    return {CHECK: (), UNIT: where, RENDER: where}


def _least(targets: set[str]) -> tuple[str, ...]:
    """Without what lies below another target."""
    return tuple(sorted(one for one in targets if not any(one.startswith(f"{other}/") for other in targets)))


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    known = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*"}
    parts = re.split(r"(\*\*/|\*\*|\*)", pattern)
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts))
