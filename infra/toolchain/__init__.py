"""The platform's pinned tools: `install` makes them ready in the cache, whatever this machine has or can reach."""

from toolchain.errors import ManifestError, ToolchainError
from toolchain.installer import Installed, Paths, find, install, trusted
from toolchain.manifest import Tool, load

__all__ = ["Installed", "ManifestError", "Paths", "Tool", "ToolchainError", "find", "install", "load", "trusted"]
