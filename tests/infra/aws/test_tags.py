"""Every resource carries the same four tags, in characters that every service takes."""

import re

from aws.tags import tags


def test_the_tags() -> None:
    assert tags("dev", "network") == {
        "Project": "ml-platform",
        "Environment": "dev",
        "Component": "network",
        "ManagedBy": "pulumi",
    }


def test_their_characters() -> None:
    for key, value in tags("staging", "gpu-node-pool").items():
        assert re.fullmatch(r"[A-Za-z0-9-]+", key + value)


def test_each_call_has_its_own() -> None:
    tags("dev", "network")["Project"] = "other"
    assert tags("dev", "network")["Project"] == "ml-platform"
