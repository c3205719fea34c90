import pytest

from toolchain import versions
from toolchain.versions import Version


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("Kubernetes v1.35.0", (1, 35, 0)),
        ("Client Version: v1.35.0\nKustomize Version: v5.7.1", (1, 35, 0)),
        ("etcd Version: 3.6.5\nGit SHA: Not provided\nGo Version: go1.26.8", (3, 6, 5)),
        ("argocd: v3.3.10+unknown", (3, 3, 10)),
        ("CoreDNS-1.14.0\nlinux/amd64, go1.26.8, ", (1, 14, 0)),
        ("gitea version 1.26.0 built with go1.26.8", (1, 26, 0)),
        ("Version  : v1.8.0\nBuild    : norev", (1, 8, 0)),
        ("act version 0.2.89", (0, 2, 89)),
        ("1.26", (1, 26, 0)),
    ],
)
def test_parse_reads_what_tools_answer(answer: str, version: tuple[int, int, int]) -> None:
    assert versions.parse(answer) == Version(*version)


@pytest.mark.parametrize(
    "answer", ["", "development", "(devel)", "v1.36.0-rc.1", "v2.0.0-alpha.3", "0.0.0", "Version : git"]
)
def test_parse_takes_no_version_from_development_builds(answer: str) -> None:
    assert versions.parse(answer) is None


@pytest.mark.parametrize(
    ("constraints", "version", "accepted"),
    [
        (">=3.257, <4", (3, 258, 0), True),
        (">=3.257, <4", (3, 256, 9), False),
        (">=3.257, <4", (4, 0, 0), False),
        ("==1.35.0", (1, 35, 0), True),
        ("==1.35.0", (1, 35, 1), False),
        ("==1.35", (1, 35, 7), True),
        (">1.2.3", (1, 2, 3), False),
        ("<=1.2.3", (1, 2, 3), True),
    ],
)
def test_accepts(constraints: str, version: tuple[int, int, int], accepted: bool) -> None:
    assert versions.accepts(constraints, Version(*version)) is accepted


@pytest.mark.parametrize("constraints", ["", "1.2", "~=1.2", ">=1.2,", ">= one"])
def test_a_malformed_constraint_is_refused_with_an_example(constraints: str) -> None:
    with pytest.raises(ValueError, match=r"is no constraint; write .* such as >=3\.257"):
        versions.accepts(constraints, Version(1, 2, 3))
