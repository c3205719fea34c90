"""Single-job workflows as the forge sends them."""

import json
import tracemalloc

import pytest

from runner_controller.workflow import Checkout, Job, WorkflowError, parse


def text(job: str = "", steps: str = "- run: echo one", top: str = "") -> str:
    indented = "\n".join(f"      {line}" for line in steps.splitlines())
    extra = "\n".join(f"    {line}" for line in job.splitlines())
    return f'name: test\n"on": push\n{top}\njobs:\n  build:\n    runs-on: ml-cpu\n{extra}\n    steps:\n{indented}\n'


def parsed(job: str = "", steps: str = "- run: echo one", top: str = "") -> Job:
    return parse(text(job, steps, top))


def test_steps_are_named_as_act_names_them() -> None:
    job = parsed(steps="- run: a\n- {id: mine, run: b}\n- run: c")
    assert (job.id, job.label, job.steps) == ("build", "ml-cpu", ("0", "mine", "2"))


@pytest.mark.parametrize(("value", "seconds"), [("", 3600), ("5", 300), ("'7'", 420), ("0.5", 30), ("1440", 86400)])
def test_time_limit(value: str, seconds: int) -> None:
    assert parsed(f"timeout-minutes: {value}").timeout_seconds == seconds


def test_act_is_not_given_the_time_limit() -> None:
    """The forge makes text of the number, which act refuses."""
    assert "timeout-minutes" not in parsed("timeout-minutes: '60'").runnable


@pytest.mark.parametrize("value", ["0", "-1", "1441", "soon", "${{ vars.LIMIT }}", ".nan"])
def test_time_limit_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(WorkflowError, match=r"jobs\.build\.timeout-minutes is .* number over 0 and up to 1440"):
        parsed(f"timeout-minutes: {value}")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{}", Checkout(1, True)),
        ("{persist-credentials: false}", Checkout(1, False)),
        ("{fetch-depth: 0}", Checkout(0, True)),
        ("{fetch-depth: '20'}", Checkout(20, True)),
        ("{fetch-depth: '${{ vars.DEPTH }}'}", Checkout(0, True)),
    ],
)
def test_checkout(options: str, expected: Checkout) -> None:
    assert parsed(steps=f"- uses: actions/checkout@v4\n  with: {options}").checkout == expected
    assert parsed().checkout is None


@pytest.mark.parametrize("key", ["ref: main", "repository: a/b", "submodules: true", "lfs: true"])
def test_checkout_of_something_else_is_refused(key: str) -> None:
    with pytest.raises(WorkflowError, match=rf"jobs\.build\.steps\[1\]\.with\.{key.partition(':')[0]}"):
        parsed(steps=f"- run: a\n- uses: actions/checkout@v4\n  with: {{{key}}}")


@pytest.mark.parametrize("key", ["container: {image: x}", "services: {db: {image: x}}", "uses: ./other.yml"])
def test_what_needs_containers_is_refused(key: str) -> None:
    with pytest.raises(WorkflowError, match=rf"jobs\.build\.{key.partition(':')[0]} is not offered"):
        parsed(key)


@pytest.mark.parametrize("broken", ["", "- a", "jobs: {}", "jobs: {a: {}, b: {}}", "jobs: {a: 1}", "a: [", "jobs: [a]"])
def test_payload_without_one_job_is_refused(broken: str) -> None:
    with pytest.raises(WorkflowError):
        parse(broken)


def bomb(levels: int) -> str:
    """Each level names the one before nine times."""
    lines = ['a0: &a0 "boom boom"']
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
    return text(top="\n".join(["env:", *(f"  {line}" for line in lines)]))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (text(top="env: &a {A: *a}"), "an alias stands inside of what it names"),
        (text(top="env: {a: &a {A: b}, c: {!!merge <<: [*a, *a]}}"), "not YAML"),
        (text(top="env: {A: !!set {b}}"), "more than texts, numbers, lists and mappings"),
        (text(top=f"env: {'[' * 5000}"), "nested too deeply"),
        (text(top=f"env: {{A: {'9' * 5000}}}"), "not YAML"),
        (text(steps=f"- uses: a/b@v1\n  with: {{text: '{'x' * 300_000}'}}"), "characters of at most 262144"),
        (text(top=f"env: [{'a,' * 30_000}]"), "too large"),
    ],
)
def test_s32_a_workflow_that_grows_is_refused(broken: str, message: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        parse(broken)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("levels", [9, 300])
def test_s32_an_alias_bomb_takes_no_memory(levels: int) -> None:
    tracemalloc.start()
    with pytest.raises(WorkflowError, match="too large with its aliases written out"):
        parse(bomb(levels))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_s32_anchors_that_save_typing_stay() -> None:
    steps = "- &step {run: a, env: &env {A: b}}\n- *step\n- {run: c, env: *env}"
    workflow = json.loads(parsed(steps=steps).runnable)
    assert [step["env"] for step in workflow["jobs"]["build"]["steps"]] == [{"A": "b"}] * 3


def test_bash_runs_behind_a_pipe_and_other_shells_stay() -> None:
    workflow = json.loads(parsed(steps="- run: a\n- {shell: bash, run: b}\n- {shell: python, run: c}").runnable)
    piped = workflow["defaults"]["run"]["shell"]
    assert piped.endswith("| cat' {0}")
    steps = workflow["jobs"]["build"]["steps"]
    assert [step.get("shell") for step in steps] == [None, piped, "python"]
    job = parsed("defaults: {run: {shell: python, working-directory: ml}}", top="defaults: {run: {shell: sh}}")
    workflow = json.loads(job.runnable)
    assert workflow["defaults"]["run"]["shell"] == "sh"
    assert workflow["jobs"]["build"]["defaults"]["run"] == {"shell": "python", "working-directory": "ml"}


def test_words_keep_their_meaning() -> None:
    """YAML 1.1 would read `on`, `yes`, dates and 012 otherwise than act does."""
    workflow = json.loads(parsed("env: {A: yes, B: 2026-01-01, C: 012, D: on, E: 1.5, F: true, G: }").runnable)
    assert workflow["on"] == "push"
    env = workflow["jobs"]["build"]["env"]
    assert env == {"A": "yes", "B": "2026-01-01", "C": "012", "D": "on", "E": 1.5, "F": True, "G": None}
    assert "on" in json.loads(parse(text().replace('"on"', "on")).runnable)
