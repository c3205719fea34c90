"""Job of `ci.yml`: run what the pull request's changes need of one of the repository's own checks.

They run by `scripts/test affected`, as for a person, as an ordinary user and without any credential; environments and
tools are the base layer's where it has them.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from ci import environment, git
from ci.checked import planned
from ci.failure import Failure, run
from ci.train import commits
from mlplatform.base_layer.environments import Place, key_of
from mlplatform.base_layer.folders import BaseLayerError
from mlplatform.checks.plan import JOBS, UNIT

# The verb's own environment, and those of the tests.
GROUPS = {job: ("ops", "dev", "dev-ml") if job == UNIT else ("ops", "dev") for job in JOBS}
# What a check may know of its job: where packages come from, and nothing of the platform, of data or of its terminal.
KEPT = re.compile(
    r"HOME|PATH|LANG|LC_.*|TMPDIR|USER|PYTHONUNBUFFERED|SSL_CERT_.*|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|NODE_EXTRA_CA_CERTS|PIP_.*|UV_.*|(NO|HTTP|HTTPS|ALL)_PROXY",
    re.IGNORECASE,
)
# A worker that has loaded torch takes a gibibyte; a job has five.
WORKERS = "2"


def layout(root: Path, place: Place, groups: tuple[str, ...]) -> Path:
    """A cache folder as `scripts/lib/run` and the tests know it, of links to what jobs share. Raises BaseLayerError."""
    cache = place.mount / "platform"
    for name in ("bin", "venvs"):
        (cache / name).mkdir(parents=True, exist_ok=True)
    for group in groups:
        lock = root / "requirements" / f"{group}.txt"
        _link(cache / "venvs" / f"{group}-{key_of(lock.read_bytes())}", place.environment(lock))
    if tools := place.tools.newest():
        for folder in sorted(tools.iterdir()):
            _link(cache / "bin" / folder.name, folder / folder.name)
    return cache


def variables(given: Mapping[str, str], cache: Path, work: Path) -> dict[str, str]:
    """The environment of a check."""
    kept = {name: value for name, value in given.items() if KEPT.fullmatch(name)}
    own = {"ML_PLATFORM_CACHE_DIR": str(cache), "ML_PLATFORM_STATE_DIR": str(work / "ml-platform")}
    return {**kept, **own, "PYTEST_XDIST_AUTO_NUM_WORKERS": WORKERS}


def _link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def main() -> None:
    match sys.argv[1:]:
        case [job] if job in JOBS:
            pass
        case _:
            raise Failure(f"usage: scripts/ci/checks {'|'.join(JOBS)}")
    root = environment.ROOT
    repository = git.Repository(root)
    base, head = commits(repository, environment.event())
    # GitHub checks out the merge with main; what is checked is the head itself.
    repository.git("checkout", "--quiet", "--detach", head)
    if job not in planned(repository, base, head).jobs:
        print(f"{job}: nothing of this change concerns it")
        return
    place = Place(Path(os.environ.get("CACHE_DIR") or "/cache"))
    try:
        cache = layout(root, place, GROUPS[job])
    except BaseLayerError as error:
        raise Failure(str(error)) from None
    if job != UNIT and not place.tools.newest():
        raise Failure("the runner's base layer has no tools: scripts/up on its host copies them there")
    print(f"{job}: as user {os.geteuid()}")
    sys.stdout.flush()
    script = root / "scripts" / "test"
    command = [str(script), "affected", job, f"--since={base}"]
    os.execve(script, command, variables(os.environ, cache, Path(os.environ.get("TMPDIR") or "/tmp")))  # noqa: S606, S108


if __name__ == "__main__":
    run(main)
