"""`scripts/up --environment NAME`: bring an environment on AWS to what the checkout says."""

import sys

import recovery
from cli import console, pulumi
from cli.aws import AGAIN, Environment, load
from cli.steps import Action, Context, Runner, Step
from settings import AwsStage, Paths

# What the program and this verb need; the rest of the toolchain is for machines.
TOOLS = ("pulumi", "kustomize", "argocd", "kubectl")


def steps(environment: Environment) -> list[Step]:
    """In order: a stage reads what the shared stack gives, so that one comes first where it is not there yet."""
    name = environment.cluster.name
    shared = _shared(environment)
    first = (
        [Step("shared", f"Provision {shared.cluster.name}, which {name} reads", _once(shared), ("tools",))]
        if shared
        else []
    )
    return [
        Step("credentials", "Look at the AWS credentials", lambda context: environment.check_credentials()),
        Step("tools", "Make the tools ready", _tools, ("credentials",), "run it again: it goes on"),
        *first,
        Step("stack", f"Provision {name}", _provision(environment), (first[0].name if first else "tools",)),
    ]


def run(name: str, verb: str = "up", *, plugins: str | None = None) -> Runner:
    """Do it, with progress on stderr. Raises Failure, SettingsError."""
    environment = Environment(load(name), Paths.from_environment(), plugins=plugins)
    # Before anything is shown as begun: the commonest mistake has its own exit status.
    environment.check_credentials()
    runner = Runner(console.err(), environment.paths.state / "logs", f"{verb}-{name}")
    runner.run(steps(environment))
    return runner


def _shared(environment: Environment) -> Environment | None:
    cluster = environment.cluster
    return environment.beside(cluster.shared) if isinstance(cluster, AwsStage) else None


def _tools(context: Context) -> None:
    context.command(
        sys.executable, "-m", "toolchain", "install", *TOOLS, fix="check that the package registries answer"
    )


def _once(shared: Environment) -> Action:
    def act(context: Context) -> str | None:
        if shared.exists() and has_outputs(shared, context):
            return "is there"
        return _provision(shared)(context)

    return act


def has_outputs(environment: Environment, context: Context) -> bool:
    """Whether the stack was provisioned as a whole: its outputs come last."""
    variables = environment.prepare(context.say, create=False)
    command = ("pulumi", "stack", "output", "--json", "--non-interactive")
    return '"registry_host"' in context.command(*command, environment=variables, folder=environment.root)


def _provision(environment: Environment) -> Action:
    def act(context: Context) -> str:
        context.progress("preparing")
        variables = environment.prepare(context.say, create=True)
        recovery.resolve(environment.cluster.name, variables, context.say, environment.root)
        pulumi.settle_plugins(context, variables, environment.paths, environment.root, AGAIN)
        return environment.pulumi(context, pulumi.UP, variables)

    return act
