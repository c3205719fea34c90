"""The one comment that says what a pull request would change on AWS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ci import chart
from ci.comment import sentence
from ci.plan import Action, Plan, Step, Violation

MARKER = "<!-- ml-platform:infrastructure -->"
# Gitea and GitHub take 65,536 characters.
MOST_TEXT = 60_000
# Rows a stack, tried until the comment is short enough: those that destroy something, and the others.
LIMITS = ((400, 200), (200, 60), (100, 20), (50, 5), (10, 0))
# More than so many rows that destroy nothing are folded away.
OPEN = 10
DONE: dict[Action, str] = {
    "delete": "**delete**",
    "replace": "**replace**",
    "update": "update",
    "create": "create",
}
WARNING = (
    "This pull request changes what makes or previews the infrastructure, so it could also change what is said here: "
    "read the code first."
)


@dataclass(frozen=True, slots=True)
class Report:
    """All that the comment says. `plans` is `None` while the preview runs; `reason` says why there is none at all."""

    head_sha: str
    plans: Mapping[str, Plan] | None
    reason: str = ""
    run_url: str = ""
    makes_itself: bool = False


def render(report: Report) -> str:
    """The comment's Markdown, without the marker, within what the forges take."""
    for most_destroyed, most_others in LIMITS:
        text = _render(report, most_destroyed, most_others)
        if len(text) <= MOST_TEXT:
            return text
    # Only a hostile result comes this far.
    return text[:MOST_TEXT] + "\n\n… cut here\n"


def headline(plans: Mapping[str, Plan]) -> str:
    """`dev: 2 to create, 1 to replace; prod: no changes`: what fits a commit status."""
    return "; ".join(f"{name}: {plan.summary}" for name, plan in plans.items())


def _render(report: Report, most_destroyed: int, most_others: int) -> str:
    if report.plans is None and not report.reason:
        parts = ["## Infrastructure: being previewed", "This comment is then written anew."]
    elif report.plans is None:
        parts = ["## Infrastructure: no preview", f"- {sentence(report.reason)}"]
    else:
        failed = report.reason or any(plan.failed for plan in report.plans.values())
        parts = [f"## Infrastructure: {'failed' if failed else 'previewed'}"]
        parts += [f"- {sentence(report.reason)}"] if report.reason else []
        parts += [f"> {WARNING}"] if report.makes_itself else []
        changing = {name: plan for name, plan in report.plans.items() if plan.failed or plan.steps or plan.violations}
        parts += [_stack(name, plan, most_destroyed, most_others) for name, plan in changing.items()]
        quiet = {name: plan for name, plan in report.plans.items() if name not in changing}
        parts += _unchanged({name: plan for name, plan in quiet.items() if not plan.absent})
        parts += _absent([name for name, plan in quiet.items() if plan.absent])
    parts.append(_footer(report))
    return "\n\n".join(parts) + "\n"


def _stack(name: str, plan: Plan, most_destroyed: int, most_others: int) -> str:
    cut_short = plan.error and not plan.steps
    parts = [f"### {chart.code(name)}: {'failed' if cut_short else _counts(plan)}"]
    if plan.error:
        parts.append("\n".join(f"- {sentence(line)}" for line in plan.error.splitlines()[:20] if line.strip()))
    destroyed = [step for step in plan.steps if step.action in ("delete", "replace")]
    others = [step for step in plan.steps if step.action not in ("delete", "replace")]
    if destroyed:
        parts.append(_table(destroyed, most_destroyed))
    if others:
        table, title = _table(others, most_others), f"{len(others)} created or updated"
        parts.append(table if len(others) <= OPEN else f"<details><summary>{title}</summary>\n\n{table}\n\n</details>")
    if plan.more:
        parts.append(f"{plan.more} more changes are only in the run's log.")
    parts += [] if cut_short and not plan.violations else [_policies(plan)]
    return "\n\n".join(parts)


def _counts(plan: Plan) -> str:
    words = {"delete": "deleted", "replace": "replaced", "update": "updated", "create": "created"}
    counts = [
        f"**{plan.count(action)} {words[action]}**"
        if action in ("delete", "replace")
        else f"{plan.count(action)} {words[action]}"
        for action in DONE
        if plan.count(action)
    ]
    return ", ".join([*(counts or ["no changes"]), f"{plan.unchanged} unchanged"])


def _table(steps: Sequence[Step], most: int) -> str:
    ordered = sorted(steps, key=lambda step: list(DONE).index(step.action))
    rows = [
        [DONE[step.action], chart.code(step.name), chart.code(step.type), _properties(step)] for step in ordered[:most]
    ]
    shown = chart.table(["", "resource", "type", "properties"], rows, right=4) if rows else ""
    rest = len(steps) - len(rows)
    return "\n\n".join([*([shown] if shown else []), *([f"and {rest} more, in the run's log."] if rest else [])])


def _properties(step: Step) -> str:
    causes = [f"**{chart.code(path)}**" for path in step.causes]
    return ", ".join([*causes, *(chart.code(path) for path in step.changed)])


def _policies(plan: Plan) -> str:
    if not plan.violations:
        checked = len(plan.policies)
        return f"Policies: all {checked} pass." if checked else "No policy was checked."
    rows = [
        [
            "**mandatory**" if found.level == "mandatory" else "advisory",
            chart.code(found.policy),
            chart.code(_resource(found)),
            sentence(found.message).replace("|", "\\|"),
        ]
        for found in sorted(plan.violations, key=lambda found: found.level != "mandatory")
    ]
    return chart.table(["policy", "", "resource", ""], rows, right=4)


def _resource(found: Violation) -> str:
    return found.urn.split("::", 3)[-1] if found.urn else "the whole stack"


def _unchanged(plans: Mapping[str, Plan]) -> list[str]:
    if not plans:
        return []
    names = ", ".join(plans)
    lines = "\n".join(
        f"- {chart.code(name)}: {plan.unchanged} resources. {_policies(plan)}" for name, plan in plans.items()
    )
    return [f"<details><summary>No changes: {sentence(names).removesuffix('.')}</summary>\n\n{lines}\n\n</details>"]


def _absent(names: Sequence[str]) -> list[str]:
    lines = [f"- {chart.code(name)}: {chart.code(f'scripts/up --environment {name}')} makes it" for name in names]
    return ["\n".join(["Not made yet, so nothing happens there:", "", *lines])] if names else []


def _footer(report: Report) -> str:
    run = f"[Preview run]({report.run_url}) · " if report.run_url else ""
    return (
        "<details><summary>How to reproduce</summary>\n\n```\n"
        'eval "$(scripts/env <stack>)" && pulumi preview --diff\n```\n\n</details>\n\n'
        f"{run}commit {report.head_sha}"
    )
