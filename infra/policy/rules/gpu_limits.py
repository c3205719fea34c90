"""GPU nodes take only pods that ask for a GPU, and there is an end to how many there can be."""

from collections.abc import Iterator

from aws import gpu
from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict
from policy.tokens import NODE_GROUP, NODE_POOL

# Instance families with NVIDIA GPUs, by their first letter and generation: https://aws.amazon.com/ec2/instance-types/
GPU_FAMILIES = ("g3", "g4", "g5", "g6", "g7", "gr6", "p2", "p3", "p4", "p5", "p6")
# At AWS's API and at Kubernetes'.
REPELS = ("NO_SCHEDULE", "NO_EXECUTE", "NoSchedule", "NoExecute")


def check(resource: Resource) -> Iterator[Verdict]:
    if resource.type == NODE_POOL:
        yield from _node_pool(resource)
    else:
        yield from _node_group(resource)


def _node_pool(pool: Resource) -> Iterator[Verdict]:
    """Without requirements of its own a pool may get any instance, those with GPUs too."""
    families = _families(pool)
    if families is None:
        yield Undecided(pool, "spec.template.spec.requirements")
        return
    if families and not any(_has_gpu(family) for family in families):
        return
    yield from _tainted(pool, ("spec", "template", "spec", "taints"))
    limit = pool.value("spec", "limits", gpu.RESOURCE)
    key = f"spec.limits[{gpu.RESOURCE}]"
    if limit is UNKNOWN:
        yield Undecided(pool, key)
    elif not str(limit or "").isdigit() or int(limit) < 1:
        yield Finding(pool, key, "is missing" if limit is None else f"is {limit!r}", "set a whole number of GPUs")


def _families(pool: Resource) -> list[str] | None:
    """The families or types that a pool is limited to, none when it is not; None when they are not known yet."""
    found: list[str] = []
    for index in range(len(pool.list("spec", "template", "spec", "requirements"))):
        path = ("spec", "template", "spec", "requirements", index)
        values = pool.list(*path, "values")
        if UNKNOWN in (*values, pool.value(*path, "key")):
            return None
        kind = str(pool.value(*path, "key")).rpartition("/")[2]
        if kind in {"instance-family", "instance-type"} and pool.value(*path, "operator") == "In":
            found += [str(value) for value in values]
    return found


def _node_group(group: Resource) -> Iterator[Verdict]:
    kinds = [group.value("amiType"), *group.list("instanceTypes")]
    has_gpu = any(kind is not UNKNOWN and ("NVIDIA" in str(kind) or _has_gpu(str(kind))) for kind in kinds)
    if not has_gpu:
        if UNKNOWN in kinds:
            yield Undecided(group, "amiType")
        return
    yield from _tainted(group, ("taints",))
    most = group.value("scalingConfig", "maxSize")
    if most is UNKNOWN:
        yield Undecided(group, "scalingConfig.maxSize")
    elif not isinstance(most, int | float) or most < 1:
        yield Finding(group, "scalingConfig.maxSize", "is no limit", "set the most nodes there may be")
    least = group.value("scalingConfig", "minSize")
    if least is UNKNOWN:
        yield Undecided(group, "scalingConfig.minSize")
    elif least != 0:
        yield Finding(group, "scalingConfig.minSize", "keeps GPUs that nobody asked for", "set it to 0")


def _tainted(resource: Resource, path: tuple[str, ...]) -> Iterator[Verdict]:
    taints = resource.list(*path)
    if any(
        taint is not UNKNOWN and taint.get("key") == gpu.RESOURCE and taint.get("effect") in REPELS for taint in taints
    ):
        return
    key = ".".join(path)
    if UNKNOWN in taints:
        yield Undecided(resource, key)
    else:
        yield Finding(resource, key, f"does not have {gpu.RESOURCE}", "add it, effect NoSchedule (at EKS NO_SCHEDULE)")


def _has_gpu(kind: str) -> bool:
    return kind.startswith(GPU_FAMILIES)


RULE = Rule("gpu-limits", "GPU nodes have a taint and a limit", (NODE_POOL, NODE_GROUP), check)
