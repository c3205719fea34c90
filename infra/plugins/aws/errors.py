"""What the AWS API's errors mean: gone, not there yet, or still in use."""

import re

from plugins.server import ProviderError

# A role, a network or a log group that was made a moment ago is not known everywhere in AWS at once; no API says so by
# a code of its own.
_SPREADING = re.compile(
    r"assume|not authorized|does not exist|cannot find|invalid principal|is not valid or|unable to validate", re.I
)
_SPREADING_CODES = re.compile(r"InvalidParameter|InvalidRequest|MalformedPolicy|ValidationError|ClientException")
# Another change of the same thing is under way.
_CONCURRENT = frozenset({"ConcurrentModification", "OperationAborted", "OperationAbortedException"})
_IN_USE = frozenset(
    {
        "DependencyViolation",
        "DeleteConflict",
        "InvalidIPAddress.InUse",
        "ResourceInUse",
        "ResourceInUseException",
    }
)
_UNREACHABLE = "Unreachable"


class ApiError(ProviderError):
    """An answer of the AWS API that is an error, with its code."""

    def __init__(self, subject: str, code: str, message: str) -> None:
        super().__init__(f"{subject}: {message}" + (f" ({code})" if code not in message else ""))
        self.code, self.text = code, message

    @property
    def missing(self) -> bool:
        """What the call is about, or what that belongs to, is not there."""
        return "NotFound" in self.code or self.code.startswith("NoSuch") or self.code == "404"

    @property
    def spreading(self) -> bool:
        """The call may succeed once what it names is known everywhere."""
        unknown = bool(_SPREADING_CODES.search(self.code) and _SPREADING.search(self.text))
        return self.missing or unknown or self.code in _CONCURRENT

    @property
    def in_use(self) -> bool:
        """The call may succeed once others have let go."""
        return self.code in _IN_USE or self.code in _CONCURRENT
