"""What differs from git is put back by Argo CD, without anybody's doing."""

import pytest

from cli import health, loop
from cli.failure import Failure
from live import Platform, eventually

SECONDS = 120


def replicas(live: Platform, namespace: str, name: str) -> int | None:
    found = live.kubectl.find("deployment", name, "-n", namespace)
    return None if found is None else int(found["spec"]["replicas"])


def test_a_scaled_deployment_is_scaled_back(live: Platform) -> None:
    wanted = replicas(live, live.stage, loop.APP)
    live.kubectl.run("scale", "deployment", loop.APP, "-n", live.stage, "--replicas=0")
    eventually(
        lambda: True if replicas(live, live.stage, loop.APP) == wanted else None, SECONDS, "scaling back", every=2
    )


def test_a_deleted_service_comes_back(live: Platform) -> None:
    before = live.kubectl.get("service", loop.APP, "-n", live.stage)["metadata"]["uid"]
    live.kubectl.run("delete", "service", loop.APP, "-n", live.stage)

    def is_back() -> bool | None:
        found = live.kubectl.find("service", loop.APP, "-n", live.stage)
        return True if found and found["metadata"]["uid"] != before else None

    eventually(is_back, SECONDS, "the service", every=2)


def test_a_deleted_application_comes_back_and_its_pods_stay(live: Platform) -> None:
    name = f"{loop.APP}-{live.stage}"
    before = live.kubectl.get("application.argoproj.io", name, "-n", "argocd")["metadata"]["uid"]
    pods = {one["metadata"]["uid"] for one in live.kubectl.items("pods", "-n", live.stage)}
    live.kubectl.run("delete", "application.argoproj.io", name, "-n", "argocd", "--wait=false")

    def is_back() -> bool | None:
        found = live.kubectl.find("application.argoproj.io", name, "-n", "argocd")
        return True if found and found["metadata"]["uid"] != before else None

    eventually(is_back, 240, "the Application", every=2)
    live.settle(240)
    assert pods & {one["metadata"]["uid"] for one in live.kubectl.items("pods", "-n", live.stage)}


def test_the_model_answers_again(live: Platform) -> None:
    turn = loop.Loop(live.cluster, live.paths, live.member, loop.known_good)

    def answers() -> bool | None:
        try:
            return "html" in health.content(turn.address() + "/") or None
        except Failure:
            return None

    assert eventually(answers, SECONDS, "the model's page")


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
def test_apps_cannot_deploy_outside_their_stages(live: Platform, namespace: str) -> None:
    project = live.kubectl.get("appproject.argoproj.io", "apps", "-n", "argocd")
    assert namespace not in {one["namespace"] for one in project["spec"]["destinations"]}
    assert "*" not in {one["namespace"] for one in project["spec"]["destinations"]}
