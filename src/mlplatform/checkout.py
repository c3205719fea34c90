"""Attributes by which git writes other bytes into a checkout than a commit holds.

What judges a change reads commits; Argo CD deploys from a checkout.
"""

import re

FILE = ".gitattributes"
# None of these changes what is checked out, on Linux: gitattributes(5).
_HARMLESS = re.compile(
    rb"[-!]?(binary|delta|diff|export-ignore|linguist-[a-z]+|merge|text|whitespace)"
    rb"|(diff|linguist-[a-z]+|whitespace)=\S+|text=auto|eol=lf"
)


def altering(content: bytes) -> str | None:
    """The first entry of a `.gitattributes` that may alter what is checked out, `None` where there is none.

    Entries that are not understood count: macros, and patterns with blanks.
    """
    for line in content.splitlines():
        pattern, *attributes = line.split() or [b"#"]
        if pattern.startswith(b"#"):
            continue
        unknown = next((one for one in attributes if not _HARMLESS.fullmatch(one)), None)
        if found := pattern if pattern.startswith(b"[attr]") else unknown:
            return found.decode(errors="replace")
    return None
