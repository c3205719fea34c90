"""Deleting takes its time: keys wait for a while, and nothing is emptied on the way."""

from collections.abc import Iterator

from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict, show
from policy.tokens import BUCKETS, KEY, REPOSITORY

SHORTEST_DAYS, SHORTEST_PROTECTED_DAYS = 7, 30
DAYS = "deletionWindowInDays"


def check(resource: Resource) -> Iterator[Verdict]:
    if resource.type == KEY:
        yield from _window(resource)
    elif not resource.facts.local:  # one machine's store goes with scripts/down --purge, which says what it deletes
        key = "forceDelete" if resource.type == REPOSITORY else "forceDestroy"
        found = resource.value(key)
        if found is UNKNOWN:
            yield Undecided(resource, key)
        elif found:
            yield Finding(resource, key, "empties it when it is deleted", "set it to false, and empty it by hand")


def _window(key: Resource) -> Iterator[Verdict]:
    least = SHORTEST_PROTECTED_DAYS if key.facts.protect else SHORTEST_DAYS
    days = key.value(DAYS)
    if days is UNKNOWN:
        yield Undecided(key, DAYS)
    elif not isinstance(days, int | float) or days < least:
        where = "where data is protected" if key.facts.protect else "here"
        wrong = "is missing" if days is None else f"is {show(days)}"
        yield Finding(key, DAYS, wrong, f"{where} it is {least} at least (retention.keyDeletionDays in cluster.yaml)")


RULE = Rule("deletion", "Deleting can still be undone for a while", (KEY, REPOSITORY, *BUCKETS), check)
