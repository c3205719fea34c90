"""Check every cluster file and stack file: `python -m settings`."""

import sys

from settings.errors import SettingsError
from settings.files import cluster_names, load_cluster
from settings.paths import ROOT
from settings.stack_files import check_stack_file


def main() -> int:
    """Print what is wrong, one line a mistake. Returns the exit status, 2 when something is."""
    said: list[str] = []
    for name in cluster_names(ROOT):
        for check in (load_cluster, check_stack_file):
            try:
                check(name, ROOT)
            except SettingsError as error:
                said += [line for line in str(error).splitlines() if line not in said]
    for line in said:
        print(line, file=sys.stderr)
    return 2 if said else 0


if __name__ == "__main__":
    sys.exit(main())
