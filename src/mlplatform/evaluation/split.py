"""Main's rule of which rows are for testing: by the row's own content, so no seed, order or other row has a say.

A larger share keeps every row of a smaller one, and the same input is always on the same side, however often it occurs.
The rule guards against moving rows, not against somebody who makes rows for one side: those are data that are reviewed.
"""

import hashlib

SALT = b"mlplatform test set 1\n"


def belongs(row_input: bytes, share: float) -> bool:
    """Whether a row is for testing, by the hash of its input (`rows.Row.input`) and the test set's share of rows."""
    drawn = int.from_bytes(hashlib.sha256(SALT + row_input).digest()[:8], "big")
    return drawn < share * 2**64
