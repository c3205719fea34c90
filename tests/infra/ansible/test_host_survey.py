"""Each reason to refuse a host, and that a host without it is let through."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from ansible.module_utils.processes import Listener, Process

STATE = "/srv/state"
ROUTES = (
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    "cni0\t0000C90A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    "tun0\t0000CA0A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
)


@pytest.fixture
def survey(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("host_survey")


@pytest.mark.parametrize(
    ("release", "fits"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, True),
        ({"ID": "debian", "VERSION_ID": "13"}, True),
        ({"ID": "debian"}, True),
        ({"ID": "debian", "VERSION_ID": "11", "PRETTY_NAME": "Debian 11"}, False),
        ({"ID": "fedora", "VERSION_ID": "42", "PRETTY_NAME": "Fedora 42"}, False),
        ({}, False),
    ],
)
def test_only_debian_12_or_later(survey: ModuleType, release: dict[str, str], fits: bool) -> None:
    problems = survey.system_problems(release, {"debian": 12})
    assert bool(problems) is not fits
    assert all("debian 12 or later" in problem for problem in problems)


def test_os_release_is_read_without_its_quotes(survey: ModuleType) -> None:
    text = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n# comment\nID=debian\n'
    assert survey.os_release(text) == {"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)", "ID": "debian"}


def test_another_state_directory_is_named_with_what_frees_the_host(survey: ModuleType) -> None:
    record = {"state_dir": "/srv/other", "cluster": "local"}
    (problem,) = survey.record_problems(record, "/etc/record", STATE, "local")
    assert "/etc/record" in problem
    assert "ML_PLATFORM_STATE_DIR=/srv/other scripts/down" in problem


def test_the_own_record_and_none_are_fine(survey: ModuleType) -> None:
    assert survey.record_problems({"state_dir": STATE, "cluster": "local"}, "/etc/record", STATE, "local") == []
    assert survey.record_problems(None, "/etc/record", STATE, "local") == []


@pytest.mark.parametrize("name", ["kubelet", "k3s", "dockerd", "containerd", "crio"])
def test_a_foreign_daemon_is_named_with_its_pid(survey: ModuleType, tmp_path: Path, name: str) -> None:
    table = {77: Process(77, 1, name, (f"/usr/bin/{name}", "--flag"))}
    (problem,) = survey.daemon_problems(table, set(), set(), tmp_path / "none", STATE)
    assert f"process 77 (/usr/bin/{name} --flag)" in problem


def test_our_own_daemons_are_no_problem(survey: ModuleType, tmp_path: Path) -> None:
    table = {77: Process(77, 1, "containerd", ("containerd",))}
    assert survey.daemon_problems(table, {77}, set(), tmp_path / "none", STATE) == []


def test_a_program_that_only_mentions_a_daemon_is_no_problem(survey: ModuleType, tmp_path: Path) -> None:
    table = {77: Process(77, 1, "man", ("man", "dockerd"))}
    assert survey.daemon_problems(table, set(), set(), tmp_path / "none", STATE) == []


def test_dockers_containerd_package_is_refused(survey: ModuleType, tmp_path: Path) -> None:
    (problem,) = survey.daemon_problems({}, set(), {"containerd.io", "bash"}, tmp_path / "none", STATE)
    assert "apt-get remove containerd.io" in problem


def test_a_foreign_kubernetes_configuration_is_refused(survey: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "kubernetes"
    folder.mkdir()
    assert survey.daemon_problems({}, set(), set(), folder, STATE) == []
    (folder / "admin.conf").touch()
    (problem,) = survey.daemon_problems({}, set(), set(), folder, STATE)
    assert str(folder) in problem


def test_our_link_to_the_kubernetes_configuration_is_fine(survey: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "state" / "kubernetes").mkdir(parents=True)
    (tmp_path / "state" / "kubernetes" / "admin.conf").touch()
    link = tmp_path / "etc-kubernetes"
    link.symlink_to(tmp_path / "state" / "kubernetes")
    assert survey.daemon_problems({}, set(), set(), link, str(tmp_path / "state")) == []


@pytest.mark.parametrize(
    ("listens_on", "clashes"),
    [("10.0.0.1", True), ("0.0.0.0", True), ("::", True), ("10.0.0.2", False)],  # noqa: S104
)
def test_a_taken_port_is_named_with_its_holder(survey: ModuleType, listens_on: str, clashes: bool) -> None:
    wanted = [{"service": "forge", "address": "10.0.0.1", "port": 3000}]
    table = {5: Process(5, 1, "grafana", ("grafana",))}
    problems = survey.port_problems(wanted, [Listener(listens_on, 3000, 42)], {42: 5}, table, set())
    assert bool(problems) is clashes
    assert all("port 3000" in one and "forge" in one and "grafana (pid 5)" in one for one in problems)


def test_a_port_of_our_own_or_of_nobody_visible(survey: ModuleType) -> None:
    wanted = [{"service": "forge", "address": "10.0.0.1", "port": 3000}]
    sockets = [Listener("10.0.0.1", 3000, 42)]
    table = {5: Process(5, 1, "gitea", ("gitea",))}
    assert survey.port_problems(wanted, sockets, {42: 5}, table, {5}) == []
    (problem,) = survey.port_problems(wanted, sockets, {}, table, {5})
    assert "cannot be seen" in problem


def test_too_little_disk_and_memory(survey: ModuleType, tmp_path: Path) -> None:
    missing = str(tmp_path / "not" / "yet" / "there")
    assert survey.room_problems({missing: 0.0}, 0.0) == []
    disk, memory = survey.room_problems({missing: 1e9}, 1e9)
    assert disk.startswith(missing)
    assert "ML_PLATFORM_STATE_DIR" in disk
    assert memory.startswith("memory")


def test_folders_on_one_disk_share_its_space(survey: ModuleType, tmp_path: Path) -> None:
    half = shutil.disk_usage(tmp_path).free / survey.GIB * 0.6
    state, cache = str(tmp_path / "state"), str(tmp_path / "cache")
    assert survey.room_problems({state: half}, 0.0) == []
    (problem,) = survey.room_problems({state: half, cache: half}, 0.0)
    assert problem.startswith(f"{state} and {cache}: ")


def test_what_an_interrupted_setup_left_counts(
    survey: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "downloaded").write_bytes(bytes(3 * 1024 * 1024))
    (tmp_path / "linked").hardlink_to(tmp_path / "downloaded")
    monkeypatch.setattr(survey.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    needed = 3 / 1024
    assert survey.room_problems({str(tmp_path): needed * 0.99}, 0.0) == []
    assert survey.room_problems({str(tmp_path): needed * 1.5}, 0.0)


def test_a_range_that_the_host_routes_elsewhere(survey: ModuleType) -> None:
    own = ("cni0", "veth", "lo")
    assert survey.route_problems(["10.201.0.0/16", "10.203.0.0/16"], ROUTES, own) == []
    (problem,) = survey.route_problems(["10.201.0.0/16", "10.202.0.0/16"], ROUTES, own)
    assert "10.202.0.0/16" in problem
    assert "tun0" in problem


def test_the_transfer_unit_is_the_default_routes(survey: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "eth0").mkdir()
    (tmp_path / "eth0" / "mtu").write_text("1400\n")
    assert survey.default_mtu(ROUTES, tmp_path) == 1400
    assert survey.default_mtu(ROUTES.splitlines()[0] + "\n", tmp_path) == 1500


def test_only_installed_packages_count(survey: ModuleType) -> None:
    status = (
        "Package: runc\nStatus: install ok installed\n\n"
        "Package: docker.io\nStatus: deinstall ok config-files\n\n"
        "Package: git\nStatus: install ok installed\n"
    )
    assert survey.installed_packages(status) == {"runc", "git"}
