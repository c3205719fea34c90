"""Write main's test set: the images of the raw data that are for testing, as one safetensors file.

Only a change of the raw data gives a new one. `dvc add data/test.safetensors` and `dvc push data/test.safetensors` then
record it, which takes the rights of whoever may write the remote `test`.
"""

import argparse
from pathlib import Path

from digits import prepare
from digits.errors import run


def write(raw: Path, out: Path) -> int:
    """Write the test set of the raw data in `raw` to the file `out`; return the number of its images.

    Raises:
        UserError: the raw data cannot be read.
    """
    _, test = prepare.held_out(prepare.read(raw))
    out.parent.mkdir(parents=True, exist_ok=True)
    test.save(out)
    return len(test)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the test set of the raw data.")
    parser.add_argument("raw", type=Path, help="directory with labels.csv and the images")
    parser.add_argument("out", type=Path, help="the safetensors file to write")
    arguments = parser.parse_args()
    print(f"{arguments.out}: {write(arguments.raw, arguments.out)} images")


if __name__ == "__main__":
    run(main)
