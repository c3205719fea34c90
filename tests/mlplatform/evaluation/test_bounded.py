"""A child ends within its limits whatever it does, and says why it ended."""

import time
from pathlib import Path

import pytest

from mlplatform.evaluation import bounded
from mlplatform.evaluation.bounded import ChildRefused, Stopped
from mlplatform.evaluation.declaration import Limits

LIMITS = Limits(seconds=300, cpu_seconds=60, memory_bytes=2**29, answer_bytes=10_000)


def run(folder: Path, code: str, limits: Limits = LIMITS, *arguments: str) -> None:
    (folder / "sources").mkdir()
    (folder / "sources" / "child.py").write_text(code)
    place = folder / "place"
    place.mkdir()
    bounded.run("child", arguments, place, limits, [folder / "sources"])


def test_a_child_gets_its_arguments_its_folder_and_no_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    code = "import os, sys\nassert 'AWS_SECRET_ACCESS_KEY' not in os.environ\nopen('out', 'w').write(sys.argv[1])"

    run(tmp_path, code, LIMITS, "hello")

    assert (tmp_path / "place" / "out").read_text() == "hello"


@pytest.mark.parametrize(
    ("code", "limits", "reason"),
    [
        ("while True: pass", LIMITS.model_copy(update={"cpu_seconds": 1}), "it took more than 1 s of computing"),
        ("import time\ntime.sleep(60)", LIMITS.model_copy(update={"seconds": 2.0}), "it took more than 2 s and was"),
        ("x = bytearray(2**32)", LIMITS, "it needs more than 536870912 bytes of memory"),
        ("open('big', 'wb').write(bytes(20_000))", LIMITS, "it wrote more than 10000 bytes"),
        ("raise ValueError('of no use')", LIMITS, "its process failed: ValueError: of no use"),
        ("import os\nos._exit(7)", LIMITS, "its process failed: without a word"),
        ("import os\nos._exit(3)", LIMITS, "its process failed: without a word"),
        ("import os\nos.kill(os.getpid(), 11)", LIMITS, "its process was ended by SIGSEGV"),
        ("import os\nos.symlink('/etc/passwd', 'refused')\nos._exit(3)", LIMITS, "its process failed"),
        ("import os\nos.mkfifo('refused')\nos._exit(3)", LIMITS, "its process failed"),
    ],
)
def test_a_child_that_does_not_do_its_work_is_a_sentence(
    tmp_path: Path, code: str, limits: Limits, reason: str
) -> None:
    with pytest.raises(Stopped) as caught:
        run(tmp_path, code, limits)

    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_child_that_catches_the_signal_of_its_limit_is_killed(tmp_path: Path) -> None:
    code = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"

    with pytest.raises(Stopped, match="SIGKILL"):
        run(tmp_path, code, LIMITS.model_copy(update={"cpu_seconds": 1}))


def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    late = "import time; time.sleep(2); open('late', 'w')"
    code = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {late!r}])"

    run(tmp_path, code)
    time.sleep(3)

    assert not (tmp_path / "place" / "late").exists()


def test_a_refusal_is_a_cause_and_one_line(tmp_path: Path) -> None:
    with pytest.raises(ChildRefused) as caught:
        run(tmp_path, "from mlplatform.evaluation import bounded\nbounded.refuse('file', 'it is\\n' + 'x' * 5000)")

    assert caught.value.cause == "file"
    assert str(caught.value).startswith("it is xxx")
    assert len(str(caught.value)) < 2100
