"""An app of three environments in a small repository, whose images are digests that no registry has."""

from ci.git import Repository
from ci.pins import Pins
from ci.tree import CommitTree
from commits import Git

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
DEV, STAGING, PROD = (f"apps/churn/overlays/{stage}/kustomization.yaml" for stage in ("dev", "staging", "prod"))
BASE = "apps/churn/base/kustomization.yaml"


def overlay(digest: str) -> str:
    """The overlay of an environment that follows main."""
    return f"resources: [../../base]\nimages: [{{name: churn, digest: '{digest}'}}]\n"


FILES = {
    "clusters/local/cluster.yaml": "stages: [dev, staging, prod]\n",
    BASE: "resources: []\n",
    DEV: overlay(A),
    STAGING: "resources: [../../base]\n",
    PROD: "resources: [../../base]\n",
    "README.md": "hello\n",
}


def pins_of(git: Git) -> Pins:
    """What the repository's history says of pins."""
    repository = Repository(git.root)
    return Pins(repository, CommitTree(repository, git("rev-parse", "HEAD")))
