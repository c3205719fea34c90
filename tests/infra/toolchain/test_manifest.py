"""The shipped manifest, and what a wrong one is told."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from toolchain import manifest, versions
from toolchain.errors import ManifestError

EXPECTED_BINARIES = {
    "act", "actionlint", "argocd", "coredns", "crane", "etcd", "gitea", "kube-apiserver", "kube-controller-manager",
    "kube-proxy", "kube-router", "kube-scheduler", "kubeadm", "kubeconform", "kubectl", "kubelet", "kustomize",
    "pulumi", "versitygw",
}  # fmt: skip


def test_every_binary_of_the_platform_has_one_tool() -> None:
    binaries = [binary for tool in manifest.load().values() for binary in tool.binaries]
    assert sorted(binaries) == sorted(EXPECTED_BINARIES)


def test_the_manifest_and_the_go_modules_name_the_same_tools() -> None:
    assert sorted(manifest.load()) == sorted(path.parent.name for path in manifest.HERE.glob("go/*/go.mod"))


@pytest.mark.parametrize("tool", manifest.load().values(), ids=str)
def test_the_pinned_version_stands_in_go_mod_only(tool: manifest.Tool) -> None:
    entry = tomllib.loads((manifest.HERE / "tools.toml").read_text())[tool.name]
    entry.get("release", {}).pop("sha256", None)
    entry.pop("accepts", None)  # a range of versions, which may well start at the pinned one
    assert tool.version.removeprefix("v") not in str(entry)


@pytest.mark.parametrize("tool", manifest.load().values(), ids=str)
def test_the_pinned_version_is_itself_accepted_on_path(tool: manifest.Tool) -> None:
    pinned = versions.parse(tool.version)
    assert pinned is not None
    assert not tool.accepts or versions.accepts(tool.accepts, pinned)


@pytest.mark.parametrize("tool", manifest.load().values(), ids=str)
def test_go_sum_pins_the_tools_module(tool: manifest.Tool) -> None:
    lines = (tool.folder / "go.sum").read_text().splitlines()
    assert any(line.startswith(f"{tool.module} {tool.version} h1:") for line in lines)


@pytest.mark.parametrize("tool", manifest.load().values(), ids=str)
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_a_release_has_a_file_for_every_binary(tool: manifest.Tool, architecture: str) -> None:
    release = tool.release(architecture)
    if not tool.release_entry or tool.version not in tool.release_entry["sha256"]:
        assert release is None
        return
    assert release is not None
    assert set(release.files) in ({"*"}, set(tool.binaries))
    for url, _ in release.files.values():
        assert "{" not in url
        assert tool.version.removeprefix("v") in url


def test_a_version_without_sha256_has_no_release(write_toolchain: Callable[..., Path]) -> None:
    [hello] = manifest.load(write_toolchain(version="v1.2.4")).values()
    assert hello.version == "v1.2.4"
    assert hello.release("amd64") is None


def test_the_module_is_the_longest_required_one_that_holds_the_package(tmp_path: Path) -> None:
    (tmp_path / "tools.toml").write_text("[kustomize]\n")
    folder = tmp_path / "go" / "kustomize"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(
        "module toolchain/kustomize\n\ngo 1.26.0 // newest\n\ntool (\n\tsigs.k8s.io/kustomize/kustomize/v5\n)\n\n"
        "require (\n\tsigs.k8s.io/kustomize v1.0.0 // indirect\n"
        "\tsigs.k8s.io/kustomize/kustomize/v5 v5.8.0 // indirect\n)\n"
    )
    [tool] = manifest.load(tmp_path).values()
    assert (tool.module, tool.version) == ("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.0")
    assert tool.binaries == ("kustomize",)
    assert tool.go == (1, 26, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[hello", r"tools\.toml: is not valid TOML .*; correct the syntax"),
        ("hello = 1", r"toml: hello: is no table; write \[hello\]"),
        ("[hello]\nacepts = '>=1'", r"hello\.acepts: unknown key; known keys: accepts, "),
        ("[hello]\naccepts = 'new'", r"hello\.accepts: 'new' is no constraint; write .*"),
        ("[hello]\nrelease = { link = 'x' }", r"hello\.release\.link: unknown key; known keys: "),
        ("[hello]\nrelease = { url = 'file:///etc' }", r"hello\.release\.url: is missing or no URL; write "),
        (
            "[hello]\nrelease = { url = 'https://x', sha256 = { 'v1.2.3' = { x86_64 = 'ab' } } }",
            r"hello\.release\.sha256\.v1\.2\.3\.x86_64: unknown architecture; use amd64 or arm64",
        ),
        (
            "[hello]\nrelease = { url = 'https://x', sha256 = { 'v1.2.3' = { amd64 = 'AB' } } }",
            r"hello\.release\.sha256\.v1\.2\.3\.amd64: 'AB' is no sha256; write 64 ",
        ),
        ("[goodbye]", r"go/goodbye/go\.mod: cannot be read .*; add a module with `go get -tool "),
    ],
)
def test_a_wrong_manifest_is_refused_with_file_key_and_fix(
    write_toolchain: Callable[..., Path], text: str, message: str
) -> None:
    folder = write_toolchain(text=text)
    with pytest.raises(ManifestError, match=message):
        manifest.load(folder)


def test_a_go_mod_without_a_tool_is_refused(write_toolchain: Callable[..., Path]) -> None:
    folder = write_toolchain()
    (folder / "go" / "hello" / "go.mod").write_text("module toolchain/hello\n\ngo 1.21.0\n")
    with pytest.raises(ManifestError, match=r"hello/go\.mod: pins no tool; name with `tool`"):
        manifest.load(folder)


def test_select_takes_a_binary_for_its_tool_and_keeps_the_order() -> None:
    chosen = manifest.select(manifest.load(), ["kubectl", "act", "kubelet"])
    assert [tool.name for tool in chosen] == ["kubernetes", "act"]


def test_select_refuses_an_unknown_name() -> None:
    with pytest.raises(ManifestError, match="there is no tool 'helm'; known tools: kubernetes, "):
        manifest.select(manifest.load(), ["helm"])


def test_the_recipe_changes_with_what_shapes_the_copy_only(write_toolchain: Callable[..., Path]) -> None:
    def recipe() -> str:
        [tool] = manifest.load(folder).values()
        return tool.recipe

    folder = write_toolchain()
    first = recipe()
    tools = folder / "tools.toml"
    tools.write_text(tools.read_text().replace(">=1.2, <2", ">=1.1, <2"))
    assert recipe() == first
    (folder / "go" / "hello" / "go.sum").write_text("example.com/other v1.0.0 h1:x=\n")
    second = recipe()
    assert second != first
    tools.write_text(tools.read_text().replace("main.version", "main.other"))
    assert recipe() not in {first, second}
