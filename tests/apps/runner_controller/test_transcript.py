"""Raw logs to rows and step states."""

import json
from datetime import UTC, datetime, timedelta

from runner_controller.protocol import Result
from runner_controller.transcript import Transcript, weight

START = datetime(2026, 1, 1, tzinfo=UTC)


def act(message: str, step: str | None = None, stage: str = "Main", **fields: object) -> str:
    entry = {"msg": message, "level": "info", **fields}
    if step is not None:
        entry |= {"stepID": [step], "stage": stage}
    return json.dumps(entry)


class Log:
    """Feeds lines a second apart and collects the rows."""

    def __init__(self, *steps: str, mask: str = "") -> None:
        self.transcript = Transcript(steps, lambda text: text.replace(mask, "***") if mask else text, START)
        self.rows: list[str] = []
        self.time = START

    def feed(self, *lines: str) -> None:
        for line in lines:
            self.time += timedelta(seconds=1)
            self.transcript.feed(self.time, line)
        self.rows += [row.content for row in self.transcript.take_rows()]

    def finish(self, result: Result, message: str) -> None:
        self.transcript.finish(result, self.time + timedelta(seconds=1), message)
        self.rows += [row.content for row in self.transcript.take_rows()]

    @property
    def results(self) -> list[str]:
        return [step.result.name for step in self.transcript.state.steps]

    def of(self, step: int) -> list[str]:
        state = self.transcript.state.steps[step]
        return self.rows[state.log_index : state.log_index + state.log_length]


def test_rows_belong_to_steps() -> None:
    log = Log("0", "two", "2")
    log.feed(
        "plain line before",
        act("⭐ Run Main one", "0"),
        act("out\r\n", "0", raw_output=True),
        act("  ❓  ::group::title\n", "0", command="group"),
        act("  ⚙  ::set-output:: a=b", "0", command="set-output"),
        act("  ✅  Success - Main one", "0", stepResult="success"),
        act("⭐ Run Main three", "2"),
        act("last\n", "2", raw_output=True),
        act("  ✅  Success", "2", stepResult="success"),
        act("🏁  Job succeeded", jobResult="success"),
    )
    log.finish(Result.SUCCESS, "Job succeeded")
    assert log.rows == ["plain line before", "out", "::group::title", "last", "Job succeeded"]
    assert [log.of(step) for step in range(3)] == [["out", "::group::title"], [], ["last"]]
    assert log.results == ["SUCCESS", "SKIPPED", "SUCCESS"]
    assert log.transcript.job_result is Result.SUCCESS
    first = log.transcript.state.steps[0]
    assert (first.started, first.stopped) == (START + timedelta(seconds=2), START + timedelta(seconds=6))


def test_failure_shows_its_error_in_its_step() -> None:
    log = Log("0", "1")
    log.feed(
        act("⭐ Run Main one", "0"),
        act("  ❌  Failure", "0", stepResult="failure"),
        act("signal: killed", "0", level="error"),
        act("🏁  Job failed", jobResult="failure"),
    )
    log.finish(Result.FAILURE, "Job failed")
    assert log.of(0)[0] == "##[error]signal: killed"
    assert "ran out of memory" in log.of(0)[1]
    assert log.results == ["FAILURE", "SKIPPED"]


def test_a_step_that_was_stopped_is_no_want_of_memory() -> None:
    log = Log("0")
    log.feed(act("⭐ Run Main one", "0"), act("this step has been cancelled: signal: killed", "0", level="error"))
    log.finish(Result.FAILURE, "gone")
    assert log.of(0) == ["##[error]this step has been cancelled: signal: killed", "gone"]


def test_lost_job_fails_the_running_step() -> None:
    log = Log("0", "1")
    log.feed(act("⭐ Run Main one", "0"), act("out\n", "0", raw_output=True))
    log.finish(Result.FAILURE, "##[error]gone")
    assert log.of(0) == ["out", "##[error]gone"]
    assert log.results == ["FAILURE", "SKIPPED"]


def test_cancelled_job_cancels_what_did_not_end() -> None:
    log = Log("0", "1", "2")
    log.feed(act("⭐ Run Main one", "0"), act("x", "0", stepResult="success"), act("⭐ Run Main two", "1"))
    log.finish(Result.CANCELLED, "Job cancelled")
    assert log.results == ["SUCCESS", "CANCELLED", "CANCELLED"]


def test_inner_steps_of_a_composite_action_are_the_outer_steps_rows() -> None:
    log = Log("0", "1")
    inner = json.dumps({"msg": "in\n", "level": "info", "raw_output": True, "stage": "Main", "stepID": ["0", "1"]})
    ended = json.dumps({"msg": "x", "level": "info", "stepResult": "failure", "stage": "Main", "stepID": ["0", "1"]})
    log.feed(act("⭐ Run Main one", "0"), inner, ended)
    assert log.of(0) == ["in"]
    assert log.results == ["UNSPECIFIED", "UNSPECIFIED"]


def test_lines_before_and_after_the_steps_belong_to_none() -> None:
    log = Log("0")
    log.feed(
        act("pre\n", "0", stage="Pre", raw_output=True),
        act("hidden", "0", stage="Pre"),
        act("⭐ Run Main", "0"),
        act("x", "0", stepResult="success"),
        act("post\n", "0", stage="Post", raw_output=True),
        act("unknown step\n", "9", raw_output=True),
    )
    assert log.rows == ["pre", "post", "unknown step"]
    assert log.of(0) == []


def test_rows_are_one_masked_line_that_the_forge_can_hold() -> None:
    log = Log("0", mask="hunter2")
    log.feed(
        "10%\r50%\r100% \r\n",
        "is hunter2",
        '{"msg": 1}',
        "{broken",
        "x" * 70_000,
        act("a hunter2\n", "0", raw_output=True),
    )
    assert log.rows[:4] == ["100% ", "is ***", '{"msg": 1}', "{broken"]
    assert log.rows[4] == "x" * 60_000 + " [line cut: 10000 bytes more]"
    assert log.rows[5] == "a ***"


def test_same_log_gives_the_same_rows_and_states() -> None:
    lines = ["a", act("⭐ Run Main", "0"), act("b\n", "0", raw_output=True), act("x", "0", stepResult="success")]
    first, second = Log("0"), Log("0")
    first.feed(*lines)
    for line in lines:
        second.feed(line)
    assert first.rows == second.rows
    assert first.transcript.state == second.transcript.state


def test_s6_a_line_that_was_cut_while_it_was_read_says_so_in_its_step() -> None:
    log = Log("0")
    log.feed(act("⭐ Run Main", "0"))
    whole = act("a\t" + "ü" * 300_000, "0", raw_output=True)
    log.transcript.feed(START, json.dumps(json.loads(whole), ensure_ascii=False)[:200_000], cut=1000)
    log.transcript.feed(START, "y" * 200_000, cut=5)
    log.feed(act("b", "0", raw_output=True))
    of_step = log.of(0)
    assert of_step[0].startswith("a\tüü")
    assert len(of_step[0].encode()) < 61_000
    assert " bytes more]" in of_step[0]
    assert log.rows[1] == f"{'y' * 60_000} [line cut: {140_000 + 5} bytes more]"
    assert of_step[-1] == "b"


def test_s6_no_half_of_a_secret_shows_where_a_line_is_cut() -> None:
    secret = "s3cret-0123456789"
    for place in range(59_980, 60_005):
        log = Log("0", mask=secret)
        log.transcript.feed(START, "x" * place + secret + "y" * 70_000)
        log.transcript.feed(START, ("x" * (120_000 - 10) + secret), cut=9)
        log.transcript.feed(START, (secret * 20_000)[:119_990], cut=9)
        log.feed()
        assert not [row for row in log.rows if "s3c" in row]


def test_s6_a_log_has_an_end_and_the_job_goes_on() -> None:
    transcript = Transcript(["0", "1"], lambda text: text, START, limit=10_000)
    transcript.feed(START, act("⭐ Run Main one", "0"))
    for number in range(1000):
        transcript.feed(START, act(f"row {number}", "0", raw_output=True))
    transcript.feed(START, act("x", "0", stepResult="success"))
    transcript.feed(START, act("⭐ Run Main two", "1"))
    transcript.feed(START, act("unseen", "1", raw_output=True))
    transcript.feed(START, act("x", "1", stepResult="success"))
    transcript.feed(START, act("🏁  Job succeeded", jobResult="success"))
    assert transcript.job_result is Result.SUCCESS
    assert transcript.incomplete
    transcript.finish(Result.SUCCESS, START, "Job succeeded")
    pending = transcript.pending
    rows = transcript.take_rows()
    assert pending == sum(map(weight, rows)) < 10_000 + 400
    assert transcript.pending == 0
    texts = [row.content for row in rows]
    assert texts[:2] == ["row 0", "row 1"]
    assert texts[-2:] == ["##[warning]This log is full: what follows is not kept. The job goes on", "Job succeeded"]
    assert [step.result for step in transcript.state.steps] == [Result.SUCCESS, Result.SUCCESS]
    assert transcript.state.steps[1].log_length == 0


def test_s6_lines_that_are_lost_are_said() -> None:
    log = Log("0")
    log.feed("a")
    log.transcript.lost(START)
    log.feed("b")
    assert log.rows == [
        "a",
        "##[warning]Lines are missing here: the cluster rotated the log away before they were read",
        "b",
    ]
    assert log.transcript.incomplete


def test_rows_go_on_after_those_that_the_forge_holds() -> None:
    log = Log("0")
    log.feed("a", "b")
    assert not log.transcript.skip_to(1)
    assert log.transcript.skip_to(10)
    log.feed(act("⭐ Run Main one", "0"), act("c", "0", raw_output=True))
    assert log.transcript.state.steps[0].log_index == 10
    assert log.rows[-1] == "c"
