"""A node group of GPU nodes never exceeds the limit, and pods that ask for a GPU fit its nodes."""

from typing import Any

import pytest
import yaml

from aws import gpu
from settings import ROOT
from settings.aws_fields import GPU_FAMILIES

RUNNER_POOL = ROOT / "apps" / "runner-controller" / "pools" / "gpu" / "gpu.yaml"


def test_runners_select_and_tolerate_the_pools_nodes() -> None:
    pod: dict[str, Any] = yaml.safe_load(RUNNER_POOL.read_text())["template"]["spec"]
    assert pod["nodeSelector"].items() <= gpu.LABELS.items()
    assert {"key": gpu.RESOURCE, "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
    assert gpu.RESOURCE in pod["containers"][0]["resources"]["limits"]


def test_every_family_that_the_settings_accept_has_an_instance() -> None:
    assert set(gpu.SMALLEST) == set(GPU_FAMILIES)
    assert all(instance.startswith(f"{family}.") for family, (instance, _) in gpu.SMALLEST.items())


@pytest.mark.parametrize(
    ("families", "limit", "types", "most"),
    [
        (["g6", "g5"], 4, ["g6.xlarge", "g5.xlarge"], 4),
        (["p4d"], 16, ["p4d.24xlarge"], 2),
        (["p4d"], 15, ["p4d.24xlarge"], 1),
    ],
)
def test_nodes_stay_within_the_limit(families: list[str], limit: int, types: list[str], most: int) -> None:
    assert gpu.nodes(families, limit) == gpu.Nodes(types, most)


def test_a_limit_below_one_node_is_refused() -> None:
    with pytest.raises(ValueError, match="limit 4 is less than the 8 GPUs of one p4d instance; use 8"):
        gpu.nodes(["p4d"], 4)


def test_families_that_no_group_can_mix_are_refused() -> None:
    with pytest.raises(ValueError, match=r"families mixes instances of 1 and 8 GPUs.*list g6 apart"):
        gpu.nodes(["g6", "p4d"], 16)
