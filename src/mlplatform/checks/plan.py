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

# Where all tests of the tiers `render` and `policy` lie; job `render` runs both.
RENDERED = ("tests/apps", "tests/argocd")
POLICIES = ("tests/infra/policy",)

NOTHING: Targets = {}
EVERYTHING: Targets = {CHECK: (), UNIT: (ALL,), RENDER: (*RENDERED, *POLICIES)}
_TEXT: Targets = {UNIT: ("tests/test_readme.py", "tests/test_tree.py")}

# What the quality gate judges by itself: what trainings change, and by which rules.
JUDGED = (
    "ml/**/params.yaml",
    "ml/**/dvc.lock",
    "ml/**/metrics.json",
    "ml/plots/**",
    "**/*.dvc",
    "ml/**/evaluation.yaml",
)
# An environment's release, which promotion changes; the gate judges it too.
PINS = "apps/*/overlays/*/release.yaml"
# What `ci.yml` tells the forge to start no job for. A deployment changes the last.
IGNORED = (*JUDGED, PINS, "apps/*/overlays/*/kustomization.yaml")

# The first pattern that matches counts; whatever matches none needs everything. `*` stands for a part of a path, `**`
# for any number of them.
RULES: tuple[tuple[str, Targets], ...] = (
    *((pattern, NOTHING) for pattern in (*JUDGED, PINS)),
    ("docs/results/*", NOTHING),
    ("LICENSE", NOTHING),
    ("docs/CODEOWNERS", {UNIT: ("tests/mlplatform/pulls",)}),
    ("docs/**", _TEXT),
    ("*.md", _TEXT),
    ("**/*.md", _TEXT),
    # Facts of clusters on AWS: no other test knows them.
    ("clusters/local/**", EVERYTHING),
    ("clusters/*/**", {CHECK: (), UNIT: ("tests/clusters", "tests/github", *POLICIES), RENDER: POLICIES}),
    ("apps/*/overlays/**", {CHECK: (), RENDER: RENDERED}),
    ("apps/bot/src/**", {CHECK: (), UNIT: ("tests/apps/bot", "tests/mlplatform/pulls")}),
    ("apps/runner-controller/src/**", {CHECK: (), UNIT: ("tests/apps/runner_controller",)}),
    ("apps/**", {CHECK: (), UNIT: ("tests/apps", "tests/attacks"), RENDER: RENDERED}),
    ("argocd/**", {CHECK: (), UNIT: ("tests/argocd",), RENDER: RENDERED}),
    ("ml/**", {CHECK: (), UNIT: ("tests/ml", "tests/mlplatform/evaluation", "tests/scripts/ci", "tests/test_tree.py")}),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change needs: tests by job. Of `check` there is nothing to choose."""

    targets: Targets

    @property
    def jobs(self) -> tuple[str, ...]:
        """The jobs that must pass, in their order."""
        return tuple(job for job in JOBS if job in self.targets)

    def covers(self, job: str, other: "Plan") -> bool:
        """Whether all that the other plan has of a job is run by this one."""
        own, its = self.targets.get(job), other.targets.get(job, ())
        return own is not None and all(any(_is_below(one, top) for top in own) for one in its)


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
    if path.startswith("tests/") and not is_ignored(path):
        return _of_tests(path)
    return next((targets for pattern, targets in RULES if _expression(pattern).fullmatch(path)), EVERYTHING)


def is_started(paths: Iterable[str]) -> bool:
    """Whether the forge starts jobs for a change of these paths."""
    return not all(is_ignored(path) for path in paths)


def is_ignored(path: str) -> bool:
    """Whether a change of this path alone starts no job."""
    return any(_expression(pattern).fullmatch(path) for pattern in IGNORED)


def is_pin(path: str) -> bool:
    """Whether a path is that of an environment's release."""
    return _expression(PINS).fullmatch(path) is not None


def _of_tests(path: str) -> Targets:
    """A test is run; what tests share may concern each of them, what lies beside them those of its area."""
    parts = path.split("/")
    shared = len(parts) == 2 and not parts[1].startswith("test_")
    if shared or path.startswith(("tests/support/", "tests/example/")):
        return EVERYTHING
    if re.fullmatch(r"test_\w+\.py", parts[-1]):
        where = path
    else:
        where = "/".join(parts[:-1] if parts[-1] == "conftest.py" else parts[:2])
    held = tuple(top for top in EVERYTHING[RENDER] if _is_below(top, where))
    rendered = (where,) if any(_is_below(where, top) for top in EVERYTHING[RENDER]) else held
    return {CHECK: (), UNIT: (where,), **({RENDER: rendered} if rendered else {})}


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


def _least(targets: set[str]) -> tuple[str, ...]:
    """Without what lies below another target."""
    return tuple(sorted(one for one in targets if not any(one.startswith(f"{other}/") for other in targets)))


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    known = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*"}
    parts = re.split(r"(\*\*/|\*\*|\*)", pattern)
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts))
