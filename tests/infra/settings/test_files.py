"""Cluster files are read strictly, and what is wrong is said all at once."""

from pathlib import Path

import pytest

from settings import ROOT, LocalCluster, SettingsError, load_cluster, load_local, read_cluster

LOCAL = ROOT / "clusters" / "local" / "cluster.yaml"


def test_a_password_in_a_url_is_not_repeated_in_the_fix() -> None:
    with pytest.raises(SettingsError) as refused:
        read_cluster(ROOT / "tests" / "clusters" / "invalid" / "local" / "endpoint-with-password.yaml")
    assert "did you mean 'http://10.254.254.1:7070'" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = LOCAL.read_text()
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
    (folder / "cluster.yaml").write_bytes(LOCAL.read_bytes())
    with pytest.raises(SettingsError, match=r"clusters/other/cluster.yaml: name: is 'local'; write the folder's name"):
        load_cluster("other", tmp_path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_cluster(tmp_path)
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        read_cluster(path)


def test_a_verb_of_this_machine_refuses_a_cluster_elsewhere() -> None:
    assert isinstance(load_local("local"), LocalCluster)
    with pytest.raises(SettingsError, match=r"clusters/dev/cluster.yaml: provider: is 'aws'; this works on .* local"):
        load_local("dev")


def test_a_broken_neighbour_is_its_own_business(tmp_path: Path) -> None:
    """Only what a cluster refers to can keep it from being read."""
    for name in ("shared", "dev", "staging", "prod"):
        (tmp_path / "clusters" / name).mkdir(parents=True)
        (tmp_path / "clusters" / name / "cluster.yaml").write_bytes(
            (ROOT / "clusters" / name / "cluster.yaml").read_bytes()
        )
    (tmp_path / "clusters" / "staging" / "cluster.yaml").write_text("name: staging\nprovider: aws\n")
    assert load_cluster("dev", tmp_path).name == "dev"
    with pytest.raises(SettingsError, match=r"clusters/staging/cluster.yaml: account: is missing"):
        load_cluster("shared", tmp_path)
