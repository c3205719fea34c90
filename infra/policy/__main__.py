"""What the engine runs for `--policy-pack infra/policy`: serves the rules to it."""

import sys
from pathlib import Path

# Started as a folder, this is the only entry that is the pack's own; the modules around it are under infra/.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from policy import server  # noqa: E402 - found only now

if __name__ == "__main__":
    try:
        server.serve()
    except KeyboardInterrupt:  # how the engine ends a plugin
        sys.exit(0)
