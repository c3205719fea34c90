"""What a GPU node is to whoever selects one, and which instances a node group of them may have."""

from collections.abc import Sequence
from dataclasses import dataclass

RESOURCE = "nvidia.com/gpu"
# The label that NVIDIA's feature discovery gives to nodes elsewhere; here the pool gives it, before there is a node.
LABELS = {"nvidia.com/gpu.present": "true"}

# The smallest instance of each family, and its GPUs. https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
SMALLEST = {
    "g4dn": ("g4dn.xlarge", 1),
    "g5": ("g5.xlarge", 1),
    "g6": ("g6.xlarge", 1),
    "g6e": ("g6e.xlarge", 1),
    "gr6": ("gr6.4xlarge", 1),
    "p4d": ("p4d.24xlarge", 8),
    "p4de": ("p4de.24xlarge", 8),
    "p5": ("p5.4xlarge", 1),
    "p5e": ("p5e.48xlarge", 8),
    "p5en": ("p5en.48xlarge", 8),
}


@dataclass(frozen=True)
class Nodes:
    """Interchangeable instance types, and the most nodes of them that stay within a limit of GPUs."""

    instance_types: list[str]
    most: int


def nodes(families: Sequence[str], limit: int) -> Nodes:
    """The nodes of a group with at most `limit` GPUs. Raises ValueError, naming the key of `gpu` and the fix."""
    counts = {SMALLEST[family][1] for family in families}
    if len(counts) > 1:
        alike = ", ".join(family for family in families if SMALLEST[family][1] == 1)
        raise ValueError(
            f"families mixes instances of {' and '.join(map(str, sorted(counts)))} GPUs, which no node group can scale"
            f" alike; list {alike} apart from the others, or use compute: auto"
        )
    (count,) = counts
    if limit < count:
        raise ValueError(f"limit {limit} is less than the {count} GPUs of one {families[0]} instance; use {count}")
    return Nodes([SMALLEST[family][0] for family in families], limit // count)
