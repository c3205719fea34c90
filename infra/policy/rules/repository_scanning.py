"""Images are scanned when they arrive: by their repository's setting, or by the registry's where ECR makes it."""

from collections.abc import Iterator

from policy.resources import Resource, Stack, has_unknown
from policy.rule import Finding, Rule, Undecided, Verdict, expect
from policy.tokens import REGISTRY_SCANNING, REPOSITORY, REPOSITORY_TEMPLATE

SWITCH = ("imageScanningConfiguration", "scanOnPush")
REGISTRY_FIX = "add one whose rules scan * on push (scanFrequency SCAN_ON_PUSH)"


def check(stack: Stack) -> Iterator[Verdict]:
    for repository in stack.of(REPOSITORY):
        yield from expect(repository, SWITCH, True, "set it to true")
    registries = list(stack.of(REGISTRY_SCANNING))
    for template in stack.of(REPOSITORY_TEMPLATE):
        # Templates cannot say it, so what they make is scanned only if the whole registry is.
        if not registries:
            yield Finding(template, "prefix", "makes repositories in a registry that scans nothing", REGISTRY_FIX)
    for registry in registries:
        yield from _scans_all(registry)


def _scans_all(registry: Resource) -> Iterator[Verdict]:
    if has_unknown(registry.value("rules")):
        yield Undecided(registry, "rules")
        return
    of_everything = [
        rule.get("scanFrequency")
        for rule in registry.list("rules")
        if any(chosen.get("filter") == "*" for chosen in rule.get("repositoryFilters") or [])
    ]
    if not {"SCAN_ON_PUSH", "CONTINUOUS_SCAN"} & set(of_everything):
        yield Finding(registry, "rules", "scan less than everything", "scan * on push (scanFrequency SCAN_ON_PUSH)")


RULE = Rule(
    "repository-scanning",
    "Images are scanned when they are pushed",
    (REPOSITORY, REPOSITORY_TEMPLATE, REGISTRY_SCANNING),
    check_stack=check,
)
