"""The result of a run of a tier, as a file of the repository: docs/results/<tier>.json."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cli import git


def path(root: Path, tier: str) -> Path:
    """Where the result of a tier lies in the checkout `root`."""
    return root / "docs" / "results" / f"{tier}.json"


def document(root: Path, tier: str, counts: Mapping[str, int], seconds: float, seeds: Iterable[int]) -> str:
    """The result as JSON: of which commit, when, on what machine, how many tests ended how, how long it took, and from
    which seeds its tests made their random choices."""
    checkout = git.checkout(root)
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    content = {
        "tier": tier,
        "commit": checkout.git("rev-parse", "HEAD"),
        # Without the results themselves, which a run before this one may have written.
        "changed": bool(checkout.git("status", "--porcelain", "--", ".", ":!docs/results")),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"architecture": platform.machine(), "cpus": os.cpu_count(), "memory_gib": round(gib)},
        "tests": dict(counts),
        "seconds": round(seconds),
        "seeds": sorted(set(seeds)),
    }
    return json.dumps(content, indent=2) + "\n"
