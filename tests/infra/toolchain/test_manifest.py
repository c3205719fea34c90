"""The shipped manifest, and what a wrong one is told."""

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from toolchain import manifest, versions
from toolchain.errors import ManifestError

EXPECTED_BINARIES = {
    "act", "actionlint", "argocd", "coredns", "crane", "etcd", "gitea", "kube-apiserver", "kube-controller-manager",
    "kube-proxy", "kube-router", "kube-scheduler", "kubeadm", "kubectl", "kubelet", "kustomize", "pulumi",
    "versitygw",
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
def test_every_tool_comes_as_a_release_file_or_says_why_not(tool: manifest.Tool) -> None:
    """So that a machine with open internet compiles nothing, whatever is pinned."""
    if tool.no_release:
        assert len(tool.no_release.split()) > 3, "a reason, not a word"
        assert not tool.release_entry
        return
    assert tool.release_entry.get("checksums"), (
        f"tools.toml: {tool.name}: name upstream's files and where it publishes their sums under release, or say in "
        "no-release why it has none"
    )
    unpinned = dataclasses.replace(tool, release_entry={**tool.release_entry, "sha256": {}})
    for architecture in manifest.ARCHITECTURES:
        for one in (tool, unpinned):
            release = one.release(architecture)
            assert release is not None
            assert set(release.files) in ({"*"}, set(tool.binaries))
            for file in release.files.values():
                assert "{" not in file.url + file.checksums
                assert file.url.startswith("https://")
                assert tool.version.removeprefix("v") in file.url
                assert file.sha256 or file.checksums.startswith("https://")


@pytest.mark.parametrize("tool", manifest.load().values(), ids=str)
def test_all_release_hosts_are_few(tool: manifest.Tool) -> None:
    """Each host that is out of reach costs a look, on a machine that reaches registries only."""
    urls = [
        part
        for arch in manifest.ARCHITECTURES
        for one in tool.published(arch).values()
        for part in (one.url, one.checksums)
    ]
    assert {urlsplit(url).netloc for url in urls} <= {"github.com", "dl.k8s.io"}


def published(**entry: object) -> set[str]:
    """The names that upstream's file or files go by, for a tool with such a release."""
    tool = manifest.load()["crane"]
    release = {"checksums": "{url}.sha256", **entry}
    return set(dataclasses.replace(tool, release_entry=release).published("amd64"))


def test_an_archive_is_told_from_a_bare_binary_by_its_name() -> None:
    assert published(url="https://x/crane_{arch}.tar.gz") == {"*"}
    assert published(url="https://x/crane_{number}_{arch}.tgz") == {"*"}
    assert published(url="https://x/crane-{number}-{arch}") == {"crane"}
    assert published(url="https://x/{arch}/{binary}") == {"crane"}


def test_pinned_sums_go_before_those_that_upstream_publishes(write_toolchain: Callable[..., Path]) -> None:
    folder = write_toolchain("https://x", checksums="{url}.sha256")
    [hello] = manifest.load(folder).values()
    assert hello.release("riscv64") is None
    [file] = hello.release("amd64").files.values()  # type: ignore[union-attr]
    assert (file.sha256, file.checksums) == ("", "https://x/hello_1.2.3_amd64.tar.gz.sha256")
    tools = folder / "tools.toml"
    tools.write_text(tools.read_text() + f'sha256 = {{ "v1.2.3" = {{ amd64 = "{"1" * 64}" }} }}\n')
    [hello] = manifest.load(folder).values()
    [file] = hello.release("amd64").files.values()  # type: ignore[union-attr]
    assert (file.sha256, file.checksums) == ("1" * 64, "")
    [file] = hello.release("arm64").files.values()  # type: ignore[union-attr]
    assert file.checksums


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
        ("[hello]\nrelease = 'none'", r"hello\.release: is no table; write url and checksums below it, or the reason"),
        (
            "[hello]\nno-release = 'why'\nrelease = { url = 'https://x' }",
            r"hello\.no-release: contradicts the release beside it; keep one",
        ),
        (
            "[hello]\nrelease = { url = 'https://x', checksums = 'http://x' }",
            r"hello\.release\.checksums: is no https:// URL; write where upstream",
        ),
        (
            "[hello]\nrelease = { url = 'http://x', checksums = '{url}.sha256' }",
            r"hello\.release\.url: is no https:// URL; checksums asks for one",
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


def test_where_sums_are_published_does_not_shape_a_copy_and_pinning_them_does(
    write_toolchain: Callable[..., Path],
) -> None:
    def recipe(**changes: str) -> str:
        [tool] = manifest.load(write_toolchain("https://x", **changes)).values()
        return tool.recipe

    without = recipe(text='[hello]\naccepts = ">=1.2, <2"\nldflags = ["-X main.version={version}"]\n')
    unpinned = recipe(checksums="{url}.sha256")
    assert unpinned == recipe(checksums="{url}.sum") == without, "what was built is as good as before"
    assert recipe() != unpinned, "what was trusted is checked against the pinned sum"
