"""The images' names agree with what kubeadm and Argo CD ask for, and their recipes with one another."""

import re
import subprocess

import pytest

from images import reference
from images.catalog import images, module_version, pinned_digests
from images.errors import ImageError
from settings import Paths

ALL = sorted(images())


def containerfile(name: str) -> str:
    return (images()[name].recipe / "Containerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ALL)
def test_each_image_is_built_upon_the_one_that_its_recipe_names(name: str) -> None:
    image = images()[name]
    upon = re.findall(r"^FROM (\S+)", containerfile(name), re.MULTILINE)
    base = images()[image.base] if image.base else None
    expected = "scratch" if base is None else f"{base.registry or 'docker.io'}/{base.path}"
    assert upon == [expected]


@pytest.mark.parametrize("name", ALL)
def test_each_image_comes_after_its_base(name: str) -> None:
    names = list(images())
    base = images()[name].base
    assert not base or names.index(base) < names.index(name)


@pytest.mark.parametrize("name", ALL)
def test_each_program_of_an_image_is_copied_into_it(name: str) -> None:
    image = images()[name]
    copied = " ".join(re.findall(r"^(?:COPY|ADD) (.*)$", containerfile(name), re.MULTILINE))
    for argument, value in image.arguments.items():
        copied = copied.replace(f"${{{argument}}}", value)
    for program in (*image.tools, *image.host, *image.files):
        assert re.search(rf"(^|\s){re.escape(program)}(\s|$)", copied), f"{program} is not in a COPY line"


def test_a_reference_names_the_pinned_version() -> None:
    version = module_version("kubernetes", "k8s.io/kubernetes")
    assert reference("kube-apiserver") == f"registry.k8s.io/kube-apiserver:{version}"
    assert reference("runner-job") == "runner-job:latest"


def test_an_unknown_image_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ImageError, match=r"'kube-apisrever' is not an image .* kube-apiserver"):
        reference("kube-apisrever")


def test_a_module_that_no_tool_requires_is_refused() -> None:
    with pytest.raises(ImageError, match=r"infra/toolchain/go/etcd/go\.mod: requires no example\.com/absent"):
        module_version("etcd", "example.com/absent")


def test_pinned_digests_are_digests_of_tagged_upstream_images() -> None:
    for name, digest in pinned_digests().items():
        assert re.fullmatch(r"[a-z0-9.]+(/[a-z0-9-]+)+:[\w.-]+", name)
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)


@pytest.mark.tools
def test_kubeadm_asks_for_these_images(host_paths: Paths) -> None:
    """For the images whose tag kubeadm's configuration does not set."""
    version = images()["kube-apiserver"].tag
    asked = subprocess.run(
        [host_paths.bin / "kubeadm", "config", "images", "list", "--kubernetes-version", version],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "pause"):
        assert reference(name) in asked
    for name in ("coredns", "etcd"):
        repository = reference(name).rpartition(":")[0]
        assert repository in {image.rpartition(":")[0] for image in asked}


@pytest.mark.tools
def test_argo_cd_asks_for_these_images(host_paths: Paths) -> None:
    manifests = (host_paths.bin / "argocd").resolve().parent / "manifests" / "install.yaml"
    asked = set(re.findall(r"image: (\S+)", manifests.read_text(encoding="utf-8")))
    assert {reference("argocd"), reference("redis")} <= asked
