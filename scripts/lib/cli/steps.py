"""Run named steps, side by side where their order allows, and show how far they are.

On a terminal the running steps have a line each with a spinner, the time and what they do now; elsewhere a plain line
marks a step's start and end, and a reminder every half minute that it is still at work.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from cli import process
from cli.failure import Failure

_REMINDER_SECONDS = 30.0


@dataclass(frozen=True)
class Result:
    """One step that ended well: its name and its time in seconds."""

    name: str
    seconds: float
    note: str = ""


@dataclass
class Context:
    """What a step gets: a log of its own, ways to say what it does, and the runner of commands."""

    log: IO[str]
    console: Console
    now: str = ""
    notes: list[str] = field(default_factory=list)

    def progress(self, text: str) -> None:
        """Say what the step does at the moment."""
        self.now = text

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(f"     {escape(text)}")
        self.write(text)

    def write(self, text: str) -> None:
        """Add a line to the step's log."""
        self.log.write(f"{text}\n")
        self.log.flush()

    def command(
        self,
        *command: str | Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        fix: str = "",
    ) -> str:
        """Run a command with its output in the step's log and its last line as progress. Raises Failure."""
        return process.stream(
            command, self.log, environment=environment, folder=folder, on_line=on_line or self._show, fix=fix
        )

    def until(
        self,
        probe: Callable[[], str | None],
        *,
        seconds: float,
        every: float = 2.0,
        otherwise: Callable[[], Failure],
    ) -> None:
        """Call `probe` until it returns None (done); the text it returns else is the progress shown.

        Raises `otherwise()` after `seconds`, and Cancelled when another step failed meanwhile.
        """
        deadline = time.monotonic() + seconds
        while (state := probe()) is not None:
            if state != self.now:
                self.progress(state)
                self.write(state)
            if process.is_cancelled():
                raise process.Cancelled
            if time.monotonic() > deadline:
                raise otherwise()
            time.sleep(every)

    def _show(self, line: str) -> None:
        if line.strip():
            self.progress(line.strip())


Action = Callable[[Context], str | None]


@dataclass(frozen=True)
class Step:
    """A step: `action` does it and may return a note on the result; it starts when those named in `after` are done."""

    name: str
    title: str
    action: Action
    after: tuple[str, ...] = ()
    fix: str = ""


@dataclass
class _Running:
    step: Step
    context: Context
    started: float
    reminded: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class Runner:
    """Runs steps and keeps their results in the order in which they ended."""

    def __init__(self, console: Console, logs: Path, verb: str) -> None:
        self.console = console
        self.logs = logs
        self.verb = verb
        self.results: list[Result] = []
        self._running: dict[Future[str | None], _Running] = {}
        self._began = time.monotonic()

    def run(self, steps: Sequence[Step]) -> None:
        """Run `steps` in the order that `after` asks for. Raises the first Failure, with its log's tail and place.

        When a step fails or the user interrupts, running commands are stopped and no other step starts.
        """
        _check_order(steps)
        process.reset()
        waiting = list(steps)
        done: set[str] = set()
        with ThreadPoolExecutor(max_workers=max(1, len(steps)), thread_name_prefix="step") as pool:
            try:
                with self._display():
                    while waiting or self._running:
                        for step in [step for step in waiting if done.issuperset(step.after)]:
                            waiting.remove(step)
                            self._start(pool, step)
                        finished, _ = wait(self._running, timeout=0.5, return_when=FIRST_COMPLETED)
                        for future in finished:
                            done.add(self._end(future))
                        self._remind()
            except BaseException:
                process.cancel_all()
                raise
            finally:
                self._drain()

    def _start(self, pool: ThreadPoolExecutor, step: Step) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        log = (self.logs / f"{self.verb}-{step.name}.log").open("w", encoding="utf-8", errors="replace")
        context = Context(log, self.console)
        if not self.console.is_terminal:
            self.console.print(f"[dim]...[/dim]  {escape(step.title)}")
        now = time.monotonic()
        running = _Running(step, context, now, now)
        self._running[pool.submit(_guarded, step, context)] = running

    def _end(self, future: "Future[str | None]") -> str:
        running = self._running.pop(future)
        step, seconds = running.step, running.seconds
        log = Path(running.context.log.name)
        running.context.log.close()
        try:
            note = future.result() or ""
        except Exception as error:
            self.console.print(f"[red]failed[/red] {escape(step.title)} [dim]{duration(seconds)}[/dim]")
            if isinstance(error, Failure):
                error.message = f"{step.title}: {error.message}"
                error.fix = _fix(error.fix or step.fix, log)
                error.tail = error.tail or _tail(log)
            raise
        self.results.append(Result(step.name, round(seconds, 2), note))
        shown = f" [dim]{escape(note)}[/dim]" if note else ""
        self.console.print(f"[green]ok[/green]   {escape(step.title)} [dim]{duration(seconds)}[/dim]{shown}")
        return step.name

    def _drain(self) -> None:
        """Wait for steps that were told to stop; their own failures are consequences and not worth a line."""
        wait(self._running)
        for running in self._running.values():
            running.context.log.close()
        self._running.clear()

    def _display(self) -> Live:
        return Live(
            get_renderable=self._render,
            console=self.console,
            auto_refresh=self.console.is_terminal,
            refresh_per_second=8,
            transient=True,
        )

    def _render(self) -> Table:
        grid = Table.grid(padding=(0, 1))
        for running in sorted(self._running.values(), key=lambda one: one.started):
            grid.add_row(
                Spinner("line"),
                running.step.title,
                f"[dim]{duration(running.seconds)}[/dim]",
                f"[dim]{escape(_cut(running.context.now, self.console.width // 2))}[/dim]",
            )
        return grid

    def _remind(self) -> None:
        if self.console.is_terminal:
            return
        for running in self._running.values():
            if time.monotonic() - running.reminded > _REMINDER_SECONDS:
                running.reminded = time.monotonic()
                now = f": {escape(_cut(running.context.now, 100))}" if running.context.now else ""
                self.console.print(f"[dim]...  {escape(running.step.title)} {duration(running.seconds)}{now}[/dim]")

    def seconds(self) -> float:
        """Seconds since this runner was made."""
        return round(time.monotonic() - self._began, 2)

    def table(self) -> Table:
        """The steps and their times. Steps that ran side by side add up to more than the total."""
        table = Table("step", "time", "", box=None, pad_edge=False, header_style="bold")
        table.columns[1].justify = "right"
        for result in self.results:
            table.add_row(result.name, duration(result.seconds), f"[dim]{escape(result.note)}[/dim]")
        table.add_row("[bold]total[/bold]", f"[bold]{duration(self.seconds())}[/bold]", "")
        return table

    def records(self) -> list[dict[str, Any]]:
        """The results as `{name, seconds, note}`, for JSON."""
        return [asdict(result) for result in self.results]


def duration(seconds: float) -> str:
    """`4.2 s` under a minute, else `3 min 07 s`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def _guarded(step: Step, context: Context) -> str | None:
    # A thread that the pool starts late must not begin after a cancellation.
    if process.is_cancelled():
        raise process.Cancelled
    return step.action(context)


def _check_order(steps: Iterable[Step]) -> None:
    known: set[str] = set()
    for step in steps:
        missing = set(step.after) - known
        if missing:
            raise ValueError(f"step {step.name} comes after {', '.join(sorted(missing))}, which no earlier step is")
        if step.name in known:
            raise ValueError(f"two steps are named {step.name}")
        known.add(step.name)


def _tail(log: Path) -> tuple[str, ...]:
    try:
        return tuple(log.read_text(encoding="utf-8", errors="replace").splitlines()[-process.TAIL_LINES :])
    except OSError:
        return ()


def _fix(fix: str, log: Path) -> str:
    return f"{fix + '; ' if fix else ''}the whole log is in {log}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
