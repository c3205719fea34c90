"""Run a module of Python in a process with limits; whatever it does, this returns in time with what became of it.

As a program, `python -m mlplatform.evaluation.bounded MODULE [ARGUMENT ...]`, it is the child's first step.
"""

import os
import resource
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from mlplatform.evaluation.declaration import Limits

REFUSED = 3
"""The exit status of a child that refuses its input; the one sentence why is in its file `REASON`."""
REASON = "refused"
MOST_REASON = 2000
MOST_OUTPUT = 4000
SOURCES = Path(__file__).parents[2]
"""From where the child imports this package."""


class Stopped(Exception):
    """The child was stopped by a limit, or ended without its work done; the message is one sentence."""


class ChildRefused(Exception):
    """The child refused its input. The message is its sentence, `cause` the word that it put before it."""

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause


def run(module: str, arguments: Sequence[str], folder: Path, limits: Limits, sources: Sequence[Path] = ()) -> None:
    """Run `python -m module arguments` with `folder` as its current folder, and return when it succeeded.

    The child leads a process group, which is killed with it, and gets no variable of this process. What it moves to
    another group lives as long as the pod.

    Args:
        module: what to run.
        arguments: its arguments.
        folder: a folder of its own, where it may write.
        limits: of time, memory and what it writes.
        sources: folders from which it may import beside this package's.

    Raises:
        Stopped: a limit was reached, or the child failed.
        ChildRefused: it refused its input by `refuse`.
    """
    command = [sys.executable, "-P", "-s", "-B", "-m", "mlplatform.evaluation.bounded", module, *arguments]
    # Without a name, so that the child can put nothing else in its place.
    with TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(limits, sources),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            status = _wait(process, limits.seconds)
        finally:
            _kill(process)
        if status == 0:
            return
        reason = folder / REASON
        if status == REFUSED and reason.is_file() and not reason.is_symlink():
            with reason.open("rb") as stream:
                cause, _, sentence = stream.read(MOST_REASON).decode(errors="replace").partition("\n")
            raise ChildRefused(cause, " ".join(sentence.split()))
        raise Stopped(_ending(status, limits, log))


def _environment(limits: Limits, sources: Sequence[Path]) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join(map(str, [*sources, SOURCES])),
        "PYTHONHASHSEED": "0",
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        # One thread each: a number must not depend on how many cores there are.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "LIMITS": limits.model_dump_json(),
    }


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> int:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise Stopped(f"it took more than {seconds:g} s and was stopped") from None


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End the child's whole group. A child that is no more has left none, unless it started processes itself."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _ending(status: int, limits: Limits, log: IO[bytes]) -> str:
    if status == -signal.SIGXCPU:
        return f"it took more than {limits.cpu_seconds} s of computing and was stopped"
    if status == -signal.SIGXFSZ:
        return f"it wrote more than {limits.answer_bytes} bytes and was stopped"
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    log.seek(max(log.seek(0, os.SEEK_END) - MOST_OUTPUT, 0))
    lines = log.read(MOST_OUTPUT).decode(errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "without a word")
    if "MemoryError" in last or "bad_alloc" in last:
        return f"it needs more than {limits.memory_bytes} bytes of memory"
    return f"its process failed: {' '.join(last.split())[:300]}"


def limits_of_this_process() -> Limits:
    """The limits of a process that `run` started."""
    return Limits.model_validate_json(os.environ["LIMITS"])


def _confine(limits: Limits) -> None:
    """Limit this process for good."""
    for what, soft, hard in (
        # The signal at the soft limit can be caught, the one at the hard limit cannot.
        (resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1),
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.answer_bytes, limits.answer_bytes),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 256, 256),
    ):
        resource.setrlimit(what, (soft, hard))
    # Python ignores this signal, and a write beyond the limit would be an error like any other.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def refuse(cause: str, reason: str) -> None:
    """End this process, which `run` started, because its input is not acceptable."""
    Path(REASON).write_text(f"{cause}\n{reason}", encoding="utf-8")
    sys.stdout.flush()
    os._exit(REFUSED)  # the runtime's own threads and destructors have no say any more


if __name__ == "__main__":
    _confine(limits_of_this_process())
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
