"""The platform's memory is that of its own processes."""

from cli import memory
from cli.memory import Process


def test_only_processes_of_the_platform_count() -> None:
    processes = [
        Process(1, 0, "init"),
        Process(10, 1, "supervisord"),
        Process(11, 10, "gitea"),
        Process(20, 1, "containerd-shim"),
        Process(21, 20, "pause"),
        Process(22, 20, "python3.11"),
        Process(23, 22, "onnxruntime"),
        Process(30, 1, "kubelet"),
        Process(40, 1, "firefox"),
        Process(41, 40, "python3.11"),
    ]
    assert {one.pid for one in memory.of_platform(processes)} == {10, 11, 20, 21, 22, 23, 30}


def test_a_parent_that_is_gone_or_its_own_ends_the_search() -> None:
    assert memory.of_platform([Process(5, 4, "a"), Process(6, 6, "b")]) == []


def test_this_process_is_read_from_the_kernel() -> None:
    assert memory.used() >= 0
    assert memory._proportional(memory.Path("/proc/self")) > 1_000_000
