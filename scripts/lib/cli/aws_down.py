"""`scripts/down --environment NAME`: take an environment on AWS away, in an order that leaves nothing behind."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import yaml

import recovery
from cli import console, drain, git, inventory, process, pulumi
from cli.aws import Environment, load
from cli.failure import BadInput, Failure
from cli.steps import Context, Runner, Step
from environment import kubeconfig
from settings import AwsShared, AwsStage, Paths

MAIN = "main"


def run(name: str, yes: bool) -> Runner:
    """Do it after asking, unless `yes`; with progress on stderr. Raises Failure, SettingsError."""
    environment = Environment(load(name), Paths.from_environment())
    check_allowed(environment)
    environment.check_credentials()
    _confirm(environment, yes)
    runner = Runner(console.err(), environment.paths.state / "logs", f"down-{name}")
    runner.run(steps(environment))
    return runner


def _confirm(environment: Environment, yes: bool) -> None:
    """Raises BadInput without a terminal to ask on, Failure when the answer is another."""
    name = environment.cluster.name
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput("nothing was destroyed: there is no terminal to ask on", f"add --yes to destroy {name}")
    console.err().print(
        f"[bold]This destroys {name}[/bold] in account {environment.cluster.account} with everything in it: cluster,"
        " volumes, load balancers, network."
    )
    if input(f"Type {name} to destroy it: ").strip() != name:
        raise Failure("nothing was destroyed", f"answer {name}")


def steps(environment: Environment) -> list[Step]:
    """Argo CD's apps, load balancers, volumes and nodes; then Pulumi: cluster, network; then a look at what is left."""
    name = environment.cluster.name
    last = Step("inventory", "Look for anything left", lambda context: _inventory(environment), ("destroy",))
    destroy = Step("destroy", f"Destroy {name}", lambda context: _destroy(environment, context), ("drain",))
    return [
        Step("readers", "Look for stacks that need this one", lambda context: check_readers(environment, context)),
        Step("drain", "Empty the cluster", lambda context: _drain(environment, context), ("readers",)),
        destroy,
        last,
    ]


def check_allowed(environment: Environment) -> None:
    """Raises BadInput unless this environment may be destroyed.

    What counts is main on the forge: a change that lifts protection has been reviewed and merged. A checkout that says
    otherwise, committed or not, does not count.
    """
    name = environment.cluster.name
    merged = merged_facts(environment)
    if merged.get("protect") is not False:
        raise BadInput(
            f"{name} is protected: clusters/{name}/cluster.yaml on {MAIN} does not say protect: false",
            "open a pull request that says protect: false there; after its merge and apply, run this again",
        )
    if environment.cluster.protect:
        raise BadInput(
            f"clusters/{name}/cluster.yaml: protect: is true here and false on {MAIN}", f"bring this checkout to {MAIN}"
        )


def merged_facts(environment: Environment) -> Mapping[str, Any]:
    """What main on the forge says of the environment. Raises BadInput when it cannot be asked."""
    name, url = environment.cluster.name, forge_url(environment)
    source = git.checkout(environment.root)
    with git.scratch(source) as scratch:
        try:
            scratch.git("fetch", "--quiet", "--no-tags", "--depth=1", url, f"+refs/heads/{MAIN}:refs/merged")
            text = scratch.git("show", f"refs/merged:clusters/{name}/cluster.yaml")
        except Failure as failure:
            raise BadInput(
                f"{MAIN} of {url} cannot be read, and it says whether {name} is protected: {failure.message}",
                "make git able to read that repository, then run this again",
            ) from None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        raise BadInput(f"clusters/{name}/cluster.yaml on {MAIN} is not a mapping", "correct it there")
    return found


def forge_url(environment: Environment) -> str:
    """The repository that the environment follows; what stages share follows the same as its stages."""
    cluster = environment.cluster
    stage = cluster if isinstance(cluster, AwsStage) else environment.beside(cluster.stages[0]).cluster
    assert isinstance(stage, AwsStage)
    return stage.forge.clone_url


def check_readers(environment: Environment, context: Context) -> None:
    """Raises Failure while a stage that reads this stack still exists."""
    if not isinstance(environment.cluster, AwsShared):
        return
    readers = [name for name in environment.cluster.stages if _has_resources(name, environment, context)]
    if readers:
        raise Failure(
            f"{', '.join(readers)} still read{'s' if len(readers) == 1 else ''} {environment.cluster.name}",
            f"run scripts/down --environment {readers[0]} first",
        )


def _has_resources(name: str, environment: Environment, context: Context) -> bool:
    stage = environment.beside(name)
    return stage.exists() and bool(resources(stage, stage.prepare(context.say, create=False)))


def resources(environment: Environment, variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """The stack's resources, as its state has them; the stack's own entry is none."""
    command = ("pulumi", "stack", "export", "--non-interactive")
    text = process.output(command, environment=variables, folder=environment.root, timeout=120)
    found = (json.loads(text).get("deployment") or {}).get("resources") or []
    return [one for one in found if one.get("custom")]


def _drain(environment: Environment, context: Context) -> str:
    if isinstance(environment.cluster, AwsShared) or (found := environment.eks()) is None:
        return "there is no cluster"
    kubectl = environment.kubectl(found)
    try:
        kubectl.run("get", "--raw", "/readyz", timeout=20)
    except Failure as failure:
        raise Failure(
            f"the cluster's API cannot be reached, and what it made on AWS would be left behind: {failure.message}",
            "run this from inside its network, or from an address that kubernetes.publicCidrs lists; your role must be"
            " one of kubernetes.administrators",
        ) from None
    return drain.drain(kubectl, context)


def _destroy(environment: Environment, context: Context) -> str:
    name = environment.cluster.name
    if not environment.exists():
        return "there is no stack"
    variables = environment.prepare(context.say, create=False)
    recovery.resolve(name, variables, context.say, environment.root)
    protected = [one["urn"].split("::")[-1] for one in resources(environment, variables) if one.get("protect")]
    if protected:
        raise Failure(
            f"{name} is no longer to be protected, but its state still protects {', '.join(protected[:5])}",
            f"let main's apply workflow end, or run scripts/up --environment {name}; then run this again",
        )
    summary = environment.pulumi(context, pulumi.DESTROY, variables)
    kubeconfig(name, environment.paths).unlink(missing_ok=True)
    return summary


def _inventory(environment: Environment) -> str:
    left = inventory.leftovers(environment.cluster.name, environment.client)
    if left:
        raise Failure(
            f"{len(left)} things of {environment.cluster.name} are left on AWS: {', '.join(left[:20])}",
            "look at each, delete it by hand, and run this again",
        )
    return "nothing"
