"""Reads a lock file of pip's form, as `scripts/lock` writes it."""

import re

# Published as source only. Building one runs its setup script, whose hash the lock names, with the build tools that the
# lock names too; whatever else has no wheel is refused.
SOURCE_ONLY = ("antlr4-python3-runtime",)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def split(text: str) -> tuple[str, str]:
    """A lock in two: what must be a wheel, and what comes as source."""
    wheels: list[str] = []
    sources: list[str] = []
    chosen = wheels
    for line in text.splitlines(keepends=True):
        if found := _NAME.match(line):
            chosen = sources if _normal(found[0]) in SOURCE_ONLY else wheels
        chosen.append(line)
    return "".join(wheels), "".join(sources)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
