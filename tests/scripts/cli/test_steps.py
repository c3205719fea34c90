"""Steps run in order, side by side where they may, and a failure says what, why and what to do."""

import io
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from cli import process, steps
from cli.failure import BadInput, Failure
from cli.steps import Context, Runner, Step


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=160)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_step_starts_when_those_before_it_are_done(console: Console, tmp_path: Path) -> None:
    order: list[str] = []
    both = threading.Barrier(2, timeout=10)

    def side_by_side(context: Context) -> None:
        both.wait()

    runner = Runner(console, tmp_path, "up")
    runner.run(
        [
            Step("first", "First", lambda context: order.append("first")),
            Step("left", "Left", side_by_side, after=("first",)),
            Step("right", "Right", side_by_side, after=("first",)),
            Step("last", "Last", lambda context: order.append("last"), after=("left", "right")),
        ]
    )
    assert order == ["first", "last"]
    assert {result.name for result in runner.results} == {"first", "left", "right", "last"}
    assert runner.results[-1].name == "last"


def test_plain_lines_without_a_terminal(console: Console, tmp_path: Path) -> None:
    Runner(console, tmp_path, "up").run([Step("one", "Do one thing", lambda context: "all new")])
    text = printed(console)
    assert "...  Do one thing" in text
    assert "ok   Do one thing" in text
    assert "all new" in text
    assert "\x1b" not in text


def test_a_terminal_shows_the_running_step_and_clears_its_line(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)

    def work(context: Context) -> None:
        context.progress("halfway")
        time.sleep(0.6)

    Runner(console, tmp_path, "up").run([Step("one", "Do one thing", work)])
    assert "halfway" in printed(console)
    assert "Do one thing" in printed(console)


def test_a_failure_names_step_fix_and_log_and_shows_the_tail(console: Console, tmp_path: Path) -> None:
    def work(context: Context) -> None:
        context.command("sh", "-c", "echo the reason; exit 1")

    with pytest.raises(Failure) as failed:
        Runner(console, tmp_path, "up").run([Step("host", "Set up the host", work, fix="mend it")])
    assert failed.value.message.startswith("Set up the host: ")
    assert failed.value.fix == f"mend it; the whole log is in {tmp_path / 'up-host.log'}"
    assert failed.value.tail == ("the reason",)
    assert "the reason" in (tmp_path / "up-host.log").read_text()


def test_bad_input_found_by_a_step_keeps_its_exit_status(console: Console, tmp_path: Path) -> None:
    def work(context: Context) -> None:
        raise BadInput("wrong key")

    with pytest.raises(BadInput) as failed:
        Runner(console, tmp_path, "up").run([Step("one", "One", work)])
    assert failed.value.code == 2


def test_a_failure_stops_the_others_and_starts_no_more(console: Console, tmp_path: Path) -> None:
    started = threading.Event()
    later: list[str] = []

    def long(context: Context) -> None:
        started.set()
        context.command("sleep", "300")

    def fail(context: Context) -> None:
        started.wait()
        time.sleep(0.3)
        raise Failure("no")

    with pytest.raises(Failure, match="Two: no"):
        Runner(console, tmp_path, "up").run(
            [
                Step("one", "One", long),
                Step("two", "Two", fail),
                Step("three", "Three", lambda context: later.append("three"), after=("one",)),
            ]
        )
    assert later == []


def test_waiting_ends_with_the_given_failure(console: Console, tmp_path: Path) -> None:
    def work(context: Context) -> None:
        context.until(lambda: "still waiting", seconds=0.2, every=0.05, otherwise=lambda: Failure("never came"))

    with pytest.raises(Failure, match="never came"):
        Runner(console, tmp_path, "demo").run([Step("one", "One", work)])
    assert "still waiting" in (tmp_path / "demo-one.log").read_text()


def test_waiting_stops_when_another_step_failed(console: Console, tmp_path: Path) -> None:
    waits = threading.Event()

    def wait(context: Context) -> None:
        waits.set()
        context.until(lambda: "waiting", seconds=300, every=0.05, otherwise=lambda: Failure("never came"))

    def fail(context: Context) -> None:
        waits.wait()
        raise Failure("no")

    with pytest.raises(Failure, match="Two: no"):
        Runner(console, tmp_path, "up").run([Step("one", "One", wait), Step("two", "Two", fail)])


def test_commands_work_again_in_the_next_run(console: Console, tmp_path: Path) -> None:
    process.cancel_all()
    Runner(console, tmp_path, "up").run([Step("one", "One", lambda context: context.command("true"))])


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ([Step("a", "A", lambda context: None, after=("b",))], "no earlier step"),
        ([Step("a", "A", lambda context: None), Step("a", "A", lambda context: None)], "two steps are named a"),
    ],
)
def test_an_impossible_order_is_refused(console: Console, tmp_path: Path, broken: list[Step], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Runner(console, tmp_path, "up").run(broken)


def test_table_and_records_have_each_step_and_its_time(console: Console, tmp_path: Path) -> None:
    runner = Runner(console, tmp_path, "up")
    runner.run([Step("one", "One", lambda context: "note")])
    (record,) = runner.records()
    assert record["name"] == "one"
    assert record["note"] == "note"
    assert 0 <= record["seconds"] < 60
    console.print(runner.table())
    assert "total" in printed(console)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0.0 s"), (59.94, "59.9 s"), (59.99, "1 min 00 s"), (187, "3 min 07 s")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert steps.duration(seconds) == shown
