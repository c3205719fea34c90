"""Recognise that nothing which `scripts/up` reads has changed since it last succeeded."""

import hashlib
import json
from pathlib import Path

from cli import git

# What the host, the tools, the images and the stack are made of. Everything else reaches the platform through the
# forge's main: Argo CD and the workflows read it there.
INPUTS = (
    "infra",
    "clusters",
    "argocd/install",
    "argocd/root.yaml",
    "argocd/projects",
    "apps/bot",
    "apps/runner-controller",
    "requirements",
    "scripts/lib",
    "src",
    "Pulumi.yaml",
    "pyproject.toml",
)


def of_checkout(root: Path, paths: tuple[str, ...] = INPUTS) -> str:
    """A digest of every file under `paths`, tracked or not yet (ignored ones apart), with its mode and content."""
    listing = git.checkout(root).git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths)
    digest = hashlib.sha256()
    for name in sorted(set(listing.split("\0"))):
        path = root / name
        # Listed but deleted in the checkout: its absence is the change.
        if not name or not (path.is_symlink() or path.is_file()):
            continue
        content = bytes(path.readlink()) if path.is_symlink() else path.read_bytes()
        executable = bool(path.lstat().st_mode & 0o100)
        digest.update(f"{name}\0{executable}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def record(path: Path, value: str) -> None:
    """Note that the platform was set up from this input."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"fingerprint": value}) + "\n", encoding="utf-8")


def recorded(path: Path) -> str | None:
    """The input of the last success, or None."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None
