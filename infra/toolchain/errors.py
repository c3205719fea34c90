"""What the toolchain raises."""


class ToolchainError(Exception):
    """A tool cannot be had. `message` says why, `fix` what to do, `tail` holds the last lines of the log."""

    def __init__(self, message: str, fix: str = "", tail: tuple[str, ...] = ()) -> None:
        super().__init__(message if not fix else f"{message}; {fix}")
        self.message = message
        self.fix = fix
        self.tail = tail


class ManifestError(ToolchainError):
    """`tools.toml` or a `go.mod` cannot be used. The message names file, key and fix."""


class Cancelled(ToolchainError):
    """The work was stopped because another tool failed or the user interrupted."""

    def __init__(self) -> None:
        super().__init__("stopped before it was done", "run it again: it goes on from where it was")
