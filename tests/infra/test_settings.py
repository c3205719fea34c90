"""A cluster's facts are read strictly, and each refusal says where and what would work."""

import subprocess
import sys
from pathlib import Path

import pytest

from settings import ROOT, Paths, SettingsError, load_cluster, read_cluster

INVALID = sorted((ROOT / "tests" / "clusters" / "invalid").glob("*.yaml"))


def test_every_cluster_of_this_repository_is_valid() -> None:
    names = [path.parent.name for path in (ROOT / "clusters").glob("*/cluster.yaml")]
    assert "local" in names
    for name in names:
        assert load_cluster(name).name == name


def test_there_are_refusals_to_test() -> None:
    assert len(INVALID) >= 20


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_broken_file_is_refused_with_file_key_and_fix(path: Path) -> None:
    marker, _, expected = path.read_text().partition("\n")[0].partition(": ")
    assert marker == "# expect"
    with pytest.raises(SettingsError) as refused:
        read_cluster(path, "clusters/broken/cluster.yaml")
    message = str(refused.value)
    assert message.startswith("clusters/broken/cluster.yaml: ")
    assert expected in message
    assert len(message.splitlines()) == 1, "one mistake, one line"


def test_a_password_in_a_url_is_not_repeated_in_the_fix() -> None:
    with pytest.raises(SettingsError) as refused:
        read_cluster(ROOT / "tests" / "clusters" / "invalid" / "endpoint-with-password.yaml")
    assert "did you mean 'http://10.254.254.1:7070'" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = (ROOT / "clusters" / "local" / "cluster.yaml").read_text()
    path = tmp_path / "cluster.yaml"
    path.write_text(text.replace("kind: gitea", "kind: svn").replace("apiPort: 6443", "apiPort: 0"))
    with pytest.raises(SettingsError) as refused:
        read_cluster(path)
    assert sorted(line.split(": ")[1] for line in str(refused.value).splitlines()) == [
        "forge.kind",
        "kubernetes.apiPort",
    ]


@pytest.mark.parametrize("name", ["nowhere", "../local", "local/../local", "", "LOCAL"])
def test_an_unknown_cluster_is_refused_and_the_known_ones_are_named(name: str) -> None:
    with pytest.raises(SettingsError, match="there is no cluster") as refused:
        load_cluster(name)
    assert "local" in str(refused.value).partition("clusters here: ")[2]


def test_a_file_under_another_name_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "clusters" / "other"
    folder.mkdir(parents=True)
    (folder / "cluster.yaml").write_bytes((ROOT / "clusters" / "local" / "cluster.yaml").read_bytes())
    with pytest.raises(SettingsError, match=r"clusters/other/cluster.yaml: name: is 'local'; write the folder's name"):
        load_cluster("other", tmp_path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_cluster(tmp_path)
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        read_cluster(path)


def test_facts_that_follow_from_others() -> None:
    cluster = load_cluster("local")
    assert cluster.kubernetes.api_url == "https://10.254.254.1:6443"
    assert cluster.kubernetes.dns_address == "10.202.0.10"
    assert cluster.forge.clone_url == "http://10.254.254.1:3000/ml/platform.git"


def test_paths_have_defaults_and_follow_the_environment() -> None:
    assert Paths.from_environment({}) == Paths(Path("/var/lib/ml-platform"), Path("/var/cache/ml-platform"))
    paths = Paths.from_environment({"ML_PLATFORM_STATE_DIR": "/a", "ML_PLATFORM_CACHE_DIR": "/b"})
    assert (paths.secrets, paths.kubeconfig, paths.bin) == (
        Path("/a/secrets"),
        Path("/a/kubernetes/admin.conf"),
        Path("/b/bin"),
    )


@pytest.mark.parametrize("value", ["relative", "/", "~/state"])
def test_a_directory_that_would_do_harm_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"ML_PLATFORM_STATE_DIR: .* is not an absolute directory below /"):
        Paths.from_environment({"ML_PLATFORM_STATE_DIR": value})


def test_a_secret_is_its_file_without_the_newline(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path)
    with pytest.raises(SettingsError, match=r"secrets/token: cannot be read .*; scripts/up generates it"):
        paths.secret("token")
    paths.secrets.mkdir()
    (paths.secrets / "token").write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        paths.secret("token")
    (paths.secrets / "token").write_text("value\n")
    assert paths.secret("token") == "value"


def test_reading_settings_loads_no_client_library() -> None:
    heavy = {"boto3", "grpc", "httpx", "pulumi"}
    program = f"import sys, settings; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "infra", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
