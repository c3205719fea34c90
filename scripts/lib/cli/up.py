"""Set up the platform on this host, or bring it to what the checkout says."""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.markup import escape

import forge
import kept_buckets
import stack
from cli import (
    ansible,
    app,
    applications,
    base_layer,
    console,
    environments,
    fingerprint,
    first_push,
    git,
    health,
    lock,
    merging,
    people,
    pulumi,
)
from cli.failure import BadInput, Failure
from cli.kube import Kubectl
from cli.steps import Context, Runner, Step
from environment import TEST_SET_PROFILE, environment
from forge import ForgeError
from mlplatform.host import folders
from mlplatform.plugins.record import SOURCES
from settings import ROOT, Cluster, Paths

DATA_GROUP = "data"
_AGAIN = "scripts/up goes on from where it stopped"
BOT = "bot"
ROOT_APPLICATION = "root"
_APPLICATIONS_SECONDS = 600


@dataclass(frozen=True)
class Setup:
    """The steps that set one cluster's platform up on this host."""

    cluster: Cluster
    paths: Paths
    upgrade_packages: bool = False
    plugins: str | None = None

    @property
    def stamp(self) -> Path:
        """Says from what the platform was last set up; `scripts/down` removes it."""
        return self.paths.state / "up.json"

    @property
    def pushed(self) -> Path:
        """Says what the forge's main began with; it stays as long as the forge's data."""
        return self.paths.state / "first-push.json"

    @property
    def seeds(self) -> bool:
        """Whether the checkout still has the program that makes the demo's data."""
        return (ROOT / "ml" / "src" / "digits" / "seed.py").is_file()

    def steps(self) -> list[Step]:
        """In order, and side by side where they do not need each other."""
        return [
            Step("preflight", "Look at the host", self._preflight),
            Step("tools", "Make the tools ready", self._tools, ("preflight",), "run scripts/up again: it goes on"),
            Step("data-environment", "Make the data set's environment", self._data_environment, ("preflight",)),
            Step("host", "Set up the host", self._host, after=("tools",)),
            Step("first-push", "Give the forge its main", self._first_push, after=("host",)),
            Step("stack", "Provision the stack", self._stack, after=("host",)),
            Step("data", "Seed the data set", self._data, after=("data-environment", "stack")),
            Step("applications", "Wait for Argo CD's Applications", self._applications, after=("first-push", "stack")),
            Step("bot", "Let the bot alone merge", self._bot, after=("applications",)),
            Step("environments", "Make the environments of jobs", self._environments, after=("first-push", "stack")),
        ]

    def reason(self) -> str:
        """Why there is something to do; "" when the last setup was made from this very input and everything is well."""
        if self.upgrade_packages:
            return "packages are to be upgraded"
        if self.plugins:
            return f"Pulumi's plugins are to be the {self.plugins} ones"
        recorded = fingerprint.recorded(self.stamp)
        if recorded is None:
            return "no setup has finished here since the last change or scripts/down"
        if recorded != fingerprint.of_checkout(ROOT):
            return "what the platform is made from has changed"
        checks = health.all_of(self.cluster, self.paths, partial(merging.check, self.cluster, self.paths))
        # Those are well until their very end, but only a run of Ansible renews them.
        wrong = [check for check in checks if not check.ok or (check.name == health.CERTIFICATES and check.fix)]
        return f"{wrong[0].name}: {wrong[0].detail}" if wrong else ""

    def run(self, runner: Runner) -> bool:
        """Do what is needed; returns whether anything was. Raises Failure."""
        git.checkout(ROOT)
        reason = self.reason()
        if not reason:
            return False
        kept_buckets.check(self.cluster, self.paths)
        runner.console.print(f"[dim]{escape(reason)}[/dim]")
        if os.geteuid() != 0:
            raise Failure("only root can set up a host", "run it as root, for example with sudo")
        folders.refuse_missing(self.paths.state)
        folders.claim(self.paths.state, folders.STATE)
        if not folders.foreign(self.paths.cache, folders.CACHE):
            folders.claim(self.paths.cache, folders.CACHE)
        before = fingerprint.of_checkout(ROOT)
        self.stamp.unlink(missing_ok=True)
        runner.run(self.steps())
        # What was edited while it ran was not necessarily seen.
        if fingerprint.of_checkout(ROOT) == before:
            fingerprint.record(self.stamp, before)
        return True

    def advice(self) -> str:
        """What to do to bring a newer checkout into the forge's main, or ""."""
        source = git.checkout(ROOT)
        with git.scratch(source, self._forge_login(), self.cluster.forge.clone_url) as scratch:
            return first_push.advice(source, scratch, self.cluster.forge.clone_url, self.pushed)

    def _forge_login(self) -> git.Login:
        return people.administrator(self.paths)

    def _preflight(self, context: Context) -> None:
        ansible.playbook(context, "preflight.yml", self.cluster.name, self.paths, dry_run=True)

    def _tools(self, context: Context) -> str:
        def listen(line: str) -> None:
            # Such as a release file that is not what it was: the next line must not hide it.
            if line.startswith("warning: "):
                context.say(line)
            elif line.strip():
                context.progress(line.strip())

        command = (sys.executable, "-m", "toolchain", "install")
        said = context.command(*command, on_line=listen, fix="check that the package registries answer")
        return said.splitlines()[-1]

    def _data_environment(self, context: Context) -> str:
        if not self.seeds:
            return "not needed"
        return environments.make(context, DATA_GROUP).name

    def _host(self, context: Context) -> str:
        variables = {"packages_upgrade": True} if self.upgrade_packages else {}
        return ansible.playbook(context, "site.yml", self.cluster.name, self.paths, **variables)

    def _first_push(self, context: Context) -> str:
        source, url = git.checkout(ROOT), self.cluster.forge.clone_url
        with git.scratch(source, self._forge_login(), url) as scratch:
            pushed = first_push.push(source, scratch, url, self.pushed, context.say)
        if not pushed:
            return "main exists"
        # Workflows are off until main has its first commit, so that this push starts none.
        ansible.playbook(context, "forge_protect.yml", self.cluster.name, self.paths)
        return "pushed"

    def _stack(self, context: Context) -> str:
        context.progress("preparing")
        variables = stack.prepare(self.cluster, self.paths, context.say, plugins=self.plugins)
        pulumi.settle_plugins(context, variables, self.paths, ROOT, _AGAIN)
        return pulumi.run(context, pulumi.UP, variables, ROOT, _AGAIN)

    def _data(self, context: Context) -> str:
        if not self.seeds:
            return "the demo's program is gone: nothing to seed"
        python = environments.make(context, DATA_GROUP) / "bin" / "python"
        variables = {**os.environ, **environment(self.cluster, self.paths)}
        variables["PYTHONPATH"] = os.pathsep.join(str(ROOT / name) for name in ("ml/src", "src", "infra"))
        seed: list[str | Path] = [python, "-m", "digits.seed"]
        said = context.command(*seed, environment=variables, folder=ROOT / "ml").splitlines()[-1]
        # Jobs and people who push data sets may not write what models are measured on.
        variables["AWS_PROFILE"] = TEST_SET_PROFILE
        also = context.command(*seed, "--test-set", environment=variables, folder=ROOT / "ml").splitlines()[-1]
        return f"{said}; {also}"

    def _main_has(self, app: str) -> bool:
        """Whether the forge's main has one of the platform's own services."""
        login = self._forge_login()
        credentials = forge.Password(login.user, login.password)
        where = self.cluster.forge
        client = forge.connect(where.kind, where.url, where.repository, credentials, patience=60)
        try:
            return client.read_file(f"apps/{app}/overlays/platform/kustomization.yaml", "main") is not None
        except ForgeError as error:
            raise Failure(
                f"the forge does not say whether main has apps/{app}: {error}", "run scripts/up again"
            ) from None
        finally:
            client.close()

    def _bot(self, context: Context) -> str:
        """Main is the bot's only once it works: before that, nobody could merge what brings it."""
        if merging.check(self.cluster, self.paths).ok:
            return "main is the bot's"
        if not self._main_has(BOT):
            context.say(
                "the forge's main has no apps/bot yet, so whoever may push may merge: merge this checkout into it"
            )
            return "main has no bot"
        ansible.playbook(context, "forge_bot.yml", self.cluster.name, self.paths)
        return "main is the bot's from now on"

    def _environments(self, context: Context) -> str:
        """So that the first job finds them; beside what else there is to wait for."""
        with people.main_of_forge(self.cluster, self.paths) as main:
            locks = base_layer.locks_of(main, "main", main.folder)
        note = base_layer.make(context, self.cluster, self.paths, locks)
        if problem := base_layer.give_tools(self.paths):
            context.say(f"the tools of checks: {problem}")
        return note

    def _applications(self, context: Context) -> None:
        kubectl = Kubectl(self.paths)
        wanted: dict[str, str] = json.loads((self.paths.state / "images.json").read_text(encoding="utf-8"))
        # What is reported may be of a look at git before scripts/down, or before the first push.
        for old in applications.sets(kubectl):
            applications.refresh_set(kubectl, old.name)
        for application in applications.all_of(kubectl):
            applications.refresh(kubectl, application.name)

        # One that the forge's main does not have yet comes with the merge of this checkout into it.
        expected = [name for name in health.PLATFORM_APPLICATIONS if name == ROOT_APPLICATION or self._main_has(name)]

        def waits_for() -> str | None:
            for one in applications.sets(kubectl):
                if one.error:
                    applications.refresh_set(kubectl, one.name)
                if one.error or one.refreshing:
                    return f"ApplicationSet {one.name}: {one.error or 'generates its Applications'}"
            found = {one.name: one for one in applications.all_of(kubectl)}
            for name in expected:
                if name not in found:
                    return f"{name} does not exist yet"
                if found[name].refreshing:
                    return f"{name}: is compared with git"
                # Settled on the image of an earlier setup is not settled yet.
                if not found[name].is_settled or wanted.get(name, "") not in " ".join(found[name].images):
                    return f"{name}: {found[name].sync}, {found[name].health} {found[name].message}".strip()
            return None

        context.until(
            waits_for,
            seconds=_APPLICATIONS_SECONDS,
            otherwise=lambda: Failure(
                f"after {_APPLICATIONS_SECONDS // 60} minutes: {context.now}", "scripts/status shows every Application"
            ),
        )


def set_up(
    cluster: Cluster, verb: str = "up", *, upgrade_packages: bool = False, plugins: str | None = None
) -> tuple[Setup, Runner]:
    """Set up `cluster` with progress on stderr; returns what later steps go on with. Raises Failure, SettingsError."""
    paths = Paths.from_environment()
    setup = Setup(cluster, paths, upgrade_packages, plugins)
    runner = Runner(console.err(), paths.state / "logs", verb)
    if not setup.run(runner):
        runner.console.print("[green]ok[/green]   The platform is up and nothing it is made from has changed")
    return setup, runner


def tell_advice(setup: Setup) -> None:
    """Say how a newer checkout reaches main, when it is one."""
    if advice := setup.advice():
        console.err().print(advice, markup=False)


def _act(arguments: argparse.Namespace) -> int:
    if arguments.environment:
        if arguments.upgrade_packages:
            raise BadInput("--upgrade-packages is for this machine", "leave it out with --environment")
        from cli import aws_up  # noqa: PLC0415 - AWS's client is slow to import, and this machine needs none

        return _tell(aws_up.run(arguments.environment, plugins=arguments.plugins), arguments.json)
    cluster = app.cluster(arguments.cluster)
    with lock.held("up"):
        setup, runner = set_up(cluster, upgrade_packages=arguments.upgrade_packages, plugins=arguments.plugins)
        tell_advice(setup)
    return _tell(runner, arguments.json)


def _tell(runner: Runner, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps({"steps": runner.records(), "seconds": runner.seconds()}, indent=2) + "\n")
    elif runner.results:
        console.out().print(runner.table(), soft_wrap=False)
    return 0


def main() -> int:
    """The verb."""
    parser = app.parser(
        "up",
        "Set up the platform on this host, or bring it to what the checkout says; with --environment, the same for an\n"
        "environment on AWS.\n\n"
        "Safe to run again at any time: it continues from whatever state the host is in.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    where.add_argument("--environment", metavar="NAME", help="an environment on AWS: shared, dev, staging or prod")
    parser.add_argument(
        "--upgrade-packages",
        action="store_true",
        help="also upgrade containerd and runc to the distribution's newest, as doctor suggests; pods keep running",
    )
    parser.add_argument(
        "--plugins",
        choices=SOURCES,
        help="use Pulumi's official plugins, or the offline ones of infra/plugins, from now on (default: no change)",
    )
    parser.add_argument("--json", action="store_true", help="print the steps and their times as JSON")
    return app.run(parser, _act)


if __name__ == "__main__":
    sys.exit(main())
