"""Which refusals of the API server pass by themselves, and how logs are read."""

import time
import tracemalloc
from collections.abc import AsyncIterator, Iterable

import pytest

import coroutines
from runner_controller.kube import LONGEST_LINE, KubeError, lines


@pytest.mark.parametrize(
    ("status", "message", "passing"),
    [
        (0, "GET pods: ConnectError", True),
        (401, "Unauthorized", True),
        (429, "slow down", True),
        (500, "etcdserver: leader changed", True),
        (403, 'pods is forbidden: User "x" cannot list resource "pods"', True),
        (403, 'pods "a" is forbidden: violates PodSecurity "restricted:latest"', False),
        (403, 'pods "a" is forbidden: exceeded quota', False),
        (404, "not found", False),
        (409, "already exists", False),
        (422, "invalid", False),
    ],
)
def test_passing(status: int, message: str, passing: bool) -> None:
    assert KubeError(message, status).passing is passing


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def read(chunks: Iterable[bytes], longest: int = LONGEST_LINE) -> list[tuple[str, int]]:
    async def collect() -> list[tuple[str, int]]:
        return [line async for line in lines(stream(chunks), longest)]

    return coroutines.run(collect())


@pytest.mark.parametrize("size", [1, 3, 100])
def test_lines_end_at_line_feeds_wherever_the_stream_is_divided(size: int) -> None:
    text = "one\ntw\ro\n\n" + "x" * 12 + "\nlä\u2028st".encode().decode()
    raw = text.encode()
    chunks = [raw[index : index + size] for index in range(0, len(raw), size)]
    found = [("one", 0), ("tw\ro", 0), ("", 0), ("x" * 10, 2), ("lä\u2028st", 0)]
    assert read(chunks, 10) == found


def test_s6_a_line_of_128_mib_is_read_in_linear_time_and_little_memory() -> None:
    part = b"x" * (1 << 16)

    def chunks() -> Iterable[bytes]:
        yield from (part for _ in range(2048))
        yield b"\nafter\n"

    began = time.process_time()
    tracemalloc.start()
    [(text, cut), after] = read(chunks())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(text), cut) == (LONGEST_LINE, (128 << 20) - LONGEST_LINE)
    assert after == ("after", 0)
    assert peak < 8 << 20
    assert time.process_time() - began < 10
