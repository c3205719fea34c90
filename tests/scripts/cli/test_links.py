"""Where to go, how to log in, and how to get there from another machine."""

from pathlib import Path

from cli import links
from settings import Cluster, Paths


def test_the_login_names_the_file_and_never_the_secret(cluster: Cluster, tmp_path: Path) -> None:
    paths = Paths(state=tmp_path, cache=tmp_path)
    paths.secrets.mkdir()
    (paths.secrets / "forge-member-password").write_text("hunter2")
    link = links.forge(cluster, paths)
    assert link.url == f"{cluster.forge.url}/{cluster.forge.repository}"
    assert link.login == f"owner or member, password: cat {paths.secrets}/forge-NAME-password"
    assert "hunter2" not in link.login


def test_argo_cd_is_named_only_where_it_has_pages(cluster: Cluster, tmp_path: Path) -> None:
    unreachable = cluster.model_copy(
        update={"kubernetes": cluster.kubernetes.model_copy(update={"node_address": "127.0.0.1"})}
    )
    assert links.argocd(unreachable, Paths(state=tmp_path, cache=tmp_path)) is None


def test_a_tunnel_forwards_each_address_once_and_avoids_privileged_ports() -> None:
    command, opened = links.tunnel(
        ["http://10.254.254.1:3000/ml/platform", "http://10.202.1.2/", "http://10.202.9.9/docs", "http://10.202.1.2/a"],
        "host",
    ).splitlines()
    assert command == ("ssh -L 3000:10.254.254.1:3000 -L 8080:10.202.1.2:80 -L 8081:10.202.9.9:80 root@host")
    assert opened.split()[2:] == [
        "http://localhost:3000/ml/platform",
        "http://localhost:8080/",
        "http://localhost:8081/docs",
        "http://localhost:8080/a",
    ]
