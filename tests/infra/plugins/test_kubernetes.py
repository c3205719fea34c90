"""The kubernetes provider's rows against a real API server."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from control_plane.stack import Stack
from plugins.kubernetes.provider import Kubernetes
from plugins.server import Deadline, InitializationError, ProviderError, Row
from plugins.wire import differences, secret, to_struct

pytestmark = pytest.mark.tools

CONFIG_MAP, SECRET, DEPLOYMENT = "core/v1:ConfigMap", "core/v1:Secret", "apps/v1:Deployment"
NAMESPACE = "plugin-test"


@pytest.fixture(scope="module")
def provider(loopback: Stack) -> Iterator[Kubernetes]:
    provider = Kubernetes()
    provider.configure({"kubeconfig": str(loopback.plane.kubeconfig)})
    yield provider
    provider.api._client.close()


@pytest.fixture(scope="module", autouse=True)
def _namespace(provider: Kubernetes) -> Iterator[None]:
    row, inputs = _row(provider, "core/v1:Namespace"), {"metadata": {"name": NAMESPACE}}
    identifier, _ = row.create(inputs, Deadline())
    yield
    row.delete(identifier, inputs, Deadline(60))
    assert row.read(identifier, inputs, {}) is None, "deleting waits until it is gone"


def _row(provider: Kubernetes, token: str) -> Row:
    row = provider.row(f"kubernetes:{token}")
    assert row is not None
    return row


def _config_map(name: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": NAMESPACE}, "data": data, **more}


def _replaced(row: Row, old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    return {str(change) for change in differences(old, new) if row.replaces(change, old)}


def test_create_read_update_delete(provider: Kubernetes, loopback: Stack) -> None:
    row, inputs = _row(provider, CONFIG_MAP), _config_map("whole", {"a": "1", "b": "2"})
    identifier, outputs = row.create(inputs, Deadline())
    assert identifier == f"{NAMESPACE}/whole"
    assert outputs["metadata"]["uid"]
    assert row.read(identifier, inputs, outputs) == (inputs, outputs)
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/whole"
    assert {key: value for key, value in outputs.items() if not key.startswith("__")} == loopback.plane.get(path)
    assert loopback.plane.get(path)["metadata"]["managedFields"][0]["manager"] == "pulumi-ml-platform"
    fewer = _config_map("whole", {"a": "3"})
    row.update(identifier, inputs, fewer, Deadline())
    assert loopback.plane.get(path)["data"] == {"a": "3"}, "a field that is no longer wanted goes"
    row.delete(identifier, fewer, Deadline())
    row.delete(identifier, fewer, Deadline())
    assert row.read(identifier, fewer, {}) is None


def test_what_exists_is_adopted(provider: Kubernetes, loopback: Stack) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/there"
    inputs = _config_map("there", {"a": "ours"})
    loopback.plane.apply(
        path, {"apiVersion": "v1", "kind": "ConfigMap", **_config_map("there", {"a": "x", "b": "theirs"})}
    )
    _row(provider, CONFIG_MAP).create(inputs, Deadline())
    assert loopback.plane.get(path)["data"] == {"a": "ours", "b": "theirs"}


def test_an_unknown_field_is_refused_by_name(provider: Kubernetes) -> None:
    inputs = {
        "metadata": {"name": "typo", "namespace": NAMESPACE},
        "spec": {"ports": [{"port": 80, "nodeprot": 1}]},
    }
    with pytest.raises(ProviderError, match="nodeprot"):
        _row(provider, "core/v1:Service").create(inputs, Deadline())


def test_a_missing_namespace_is_told(provider: Kubernetes) -> None:
    inputs = {"metadata": {"name": "a", "namespace": "nowhere"}}
    with pytest.raises(
        ProviderError, match=r'ConfigMap a: its namespace or its kind is not there .*"nowhere" not found'
    ):
        _row(provider, CONFIG_MAP).create(inputs, Deadline())


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"metadata": {"name": "a", "namespace": "n"}, "sepc": {}}, "sepc"),
        ({"metadata": {"namespace": "n"}}, "metadata.name"),
        ({"metadata": {"name": "a"}}, "metadata.namespace"),
        ({"apiVersion": "v2", "metadata": {"name": "a", "namespace": "n"}}, "apiVersion"),
        ({"kind": "Secret", "metadata": {"name": "a", "namespace": "n"}}, "kind"),
    ],
)
def test_wrong_inputs_are_refused_before_any_call(inputs: dict[str, Any], expected: str) -> None:
    assert [problem.path for problem in _row(Kubernetes(), CONFIG_MAP).check(inputs)] == [expected]


def test_a_namespace_for_what_has_none_is_refused() -> None:
    problems = list(_row(Kubernetes(), "core/v1:Namespace").check({"metadata": {"name": "a", "namespace": "b"}}))
    assert [problem.path for problem in problems] == ["metadata.namespace"]


@pytest.mark.parametrize(
    ("token", "old", "new", "expected"),
    [
        (CONFIG_MAP, {"data": {"a": "1"}}, {"data": {"a": "2"}}, set()),
        (CONFIG_MAP, {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, {"metadata.name"}),
        (CONFIG_MAP, {"metadata": {"namespace": "a"}}, {"metadata": {"namespace": "b"}}, {"metadata.namespace"}),
        (CONFIG_MAP, {"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"a": "2"}}}, set()),
        (CONFIG_MAP, {"immutable": True, "data": {"a": "1"}}, {"immutable": True, "data": {"a": "2"}}, {"data.a"}),
        (SECRET, {"type": "Opaque"}, {"type": "other"}, {"type"}),
        (DEPLOYMENT, {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, set()),
        (
            DEPLOYMENT,
            {"spec": {"selector": {"matchLabels": {"a": "1"}}}},
            {"spec": {"selector": {"matchLabels": {"a": "2"}}}},
            {"spec.selector.matchLabels.a"},
        ),
        ("core/v1:PersistentVolumeClaim", {"spec": {"resources": 1}}, {"spec": {"resources": 2}}, set()),
        ("core/v1:PersistentVolumeClaim", {"spec": {"volumeName": "a"}}, {"spec": {}}, {"spec.volumeName"}),
        (
            "rbac.authorization.k8s.io/v1:RoleBinding",
            {"roleRef": {"name": "a"}},
            {"roleRef": {"name": "b"}},
            {"roleRef.name"},
        ),
    ],
)
def test_what_cannot_change_in_place(token: str, old: dict[str, Any], new: dict[str, Any], expected: set[str]) -> None:
    assert _replaced(_row(Kubernetes(), token), old, new) == expected


def test_the_server_agrees_about_what_cannot_change(provider: Kubernetes) -> None:
    row, old = _row(provider, SECRET), {"metadata": {"name": "typed", "namespace": NAMESPACE}, "type": "a"}
    new = {**old, "type": "b"}
    identifier, _ = row.create(old, Deadline())
    with pytest.raises(ProviderError, match="field is immutable"):
        row.update(identifier, old, new, Deadline())
    assert row.same_identity(old, new), "so the old one must go first"


def test_a_secrets_text_is_sent_as_data_and_a_key_can_go(provider: Kubernetes, loopback: Stack) -> None:
    row = _row(provider, SECRET)
    old = {
        "metadata": {"name": "text", "namespace": NAMESPACE},
        "stringData": {"a": "1", "b": "2"},
        "data": {"c": "eA=="},
    }
    new = {**old, "stringData": {"a": "3"}}
    identifier, outputs = row.create(old, Deadline())
    assert row.read(identifier, old, outputs) == (old, outputs)
    row.update(identifier, old, new, Deadline(), outputs)
    data = loopback.plane.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/text")["data"]
    assert {key: base64.b64decode(value) for key, value in data.items()} == {"a": b"3", "c": b"x"}


def _deployment(name: str, image: str = "test", **annotations: str) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": image, "resources": {"limits": {"cpu": "1000m"}}}]},
            },
        },
    }


def test_a_deployment_is_waited_for_and_rewritten_values_are_no_drift(provider: Kubernetes) -> None:
    row, inputs = _row(provider, DEPLOYMENT), _deployment("waits")
    identifier, outputs = row.create(inputs, Deadline(60))
    assert outputs["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    found = row.read(identifier, inputs, outputs)
    assert found is not None
    assert found[0] == inputs


# What the official provider compares with, and writes as; it goes on from these, and we from its own.
KEPT = {"__inputs", "__initialApiVersion", "__fieldManager"}


def test_p1_outputs_are_the_official_providers(provider: Kubernetes) -> None:
    row, inputs = _row(provider, CONFIG_MAP), _config_map("official", {"a": "1"})
    identifier, outputs = row.create(inputs, Deadline())
    expected = {"apiVersion": "v1", "kind": "ConfigMap", **inputs}
    found = row.read(identifier, inputs, outputs)
    assert found is not None
    for one in (outputs, row.update(identifier, inputs, inputs, Deadline(), outputs), found[1]):
        assert one["__inputs"] == expected
        assert one["__initialApiVersion"] == "v1"
        assert one["__fieldManager"] == "pulumi-ml-platform"
        assert one["kind"] == "ConfigMap"


def test_p1_an_object_stays_with_the_field_manager_that_its_state_names(provider: Kubernetes, loopback: Stack) -> None:
    row, inputs = _row(provider, CONFIG_MAP), _config_map("managed", {"a": "1"})
    identifier, outputs = row.create(inputs, Deadline())
    theirs = {**outputs, "__fieldManager": "pulumi-kubernetes-0123", "__initialApiVersion": "v1beta1"}
    after = row.update(identifier, inputs, _config_map("managed", {"a": "2"}), Deadline(), theirs)
    assert (after["__fieldManager"], after["__initialApiVersion"]) == ("pulumi-kubernetes-0123", "v1beta1")
    fields = loopback.plane.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/managed")["metadata"]["managedFields"]
    assert "pulumi-kubernetes-0123" in {one["manager"] for one in fields}
    found = row.read(identifier, inputs, theirs)
    assert found is not None
    assert found[1]["__fieldManager"] == "pulumi-kubernetes-0123"


def test_p1_reading_completes_the_state_of_an_older_plugin(provider: Kubernetes) -> None:
    row, inputs = _row(provider, DEPLOYMENT), _deployment("older")
    identifier, outputs = row.create(inputs, Deadline(60))
    path = "spec.template.spec.containers[0].resources.limits.cpu"
    older = {
        **inputs,
        "metadata": {**inputs["metadata"], "uid": outputs["metadata"]["uid"]},
        "__rewritten": {path: "1"},
    }
    found = row.read(identifier, inputs, older)
    assert found is not None
    assert found[0] == inputs, "what the server rewrote is no drift"
    assert found[1].keys() >= KEPT
    assert "__rewritten" not in found[1]


def test_p1_a_secret_is_encrypted_wherever_the_state_has_it() -> None:
    program = {"kind": "Secret", "metadata": {"name": "a", "annotations": {"a": secret("shown")}}, "stringData": {}}
    values = {"kind": "Secret", "metadata": {"name": "a", "annotations": {"a": "shown"}}, "stringData": {"k": "hidden"}}
    outputs = {**values, "data": {"k": "aGlkZGVu"}, "__inputs": values}
    sealed = Kubernetes().sealed(outputs, to_struct(program))
    for one in (sealed, sealed["__inputs"]):
        assert one["stringData"] == secret({"k": "hidden"})
        assert one["metadata"]["annotations"]["a"] == secret("shown")
    assert sealed["data"] == secret({"k": "aGlkZGVu"})


@pytest.mark.parametrize(
    ("token", "before", "now"),
    [
        (SECRET, {"data": {"a": "eA=="}}, {"stringData": {"a": "x"}}),
        (DEPLOYMENT, {"spec": {"limits": {"cpu": "1"}}}, {"spec": {"limits": {"cpu": "1000m"}}}),
    ],
)
def test_p1_what_the_official_provider_writes_in_its_own_form_is_no_change(
    token: str, before: dict[str, Any], now: dict[str, Any]
) -> None:
    row = _row(Kubernetes(), token)
    assert list(row.changes(before, now)) == []
    assert list(row.changes(now, before)) == []


def test_what_never_becomes_ready_is_kept_with_the_reason(provider: Kubernetes) -> None:
    inputs = _deployment("stuck")
    inputs["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    with pytest.raises(InitializationError, match=r"Deployment plugin-test/stuck is not ready after 2 s: .*") as failed:
        _row(provider, DEPLOYMENT).create(inputs, Deadline(2))
    assert failed.value.identifier == f"{NAMESPACE}/stuck"
    assert failed.value.outputs["metadata"]["uid"]


def test_the_wait_can_be_left_out(provider: Kubernetes) -> None:
    inputs = _deployment("skips", **{"pulumi.com/skipAwait": "true"})
    inputs["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    _row(provider, DEPLOYMENT).create(inputs, Deadline(0))


def test_a_held_deletion_says_what_holds_it(provider: Kubernetes, loopback: Stack) -> None:
    row, inputs = _row(provider, CONFIG_MAP), _config_map("held", {})
    inputs["metadata"]["finalizers"] = ["example.com/held"]
    identifier, _ = row.create(inputs, Deadline())
    with pytest.raises(ProviderError, match=r"still there after 1 s \(finalizers: example.com/held\)"):
        row.delete(identifier, inputs, Deadline(1))
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/held"
    loopback.plane.patch(path, {"metadata": {"finalizers": None}}).raise_for_status()
    row.delete(identifier, inputs, Deadline())


def test_an_object_can_be_imported(provider: Kubernetes, loopback: Stack) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/imported"
    loopback.plane.apply(path, {"apiVersion": "v1", "kind": "ConfigMap", **_config_map("imported", {"a": "1"})})
    found = _row(provider, CONFIG_MAP).read(f"{NAMESPACE}/imported", {}, {})
    assert found is not None
    assert found[0] == {"apiVersion": "v1", "kind": "ConfigMap", **_config_map("imported", {"a": "1"})}


class TestAClusterThatIsAway:
    @pytest.fixture
    def away(self, loopback: Stack, monkeypatch: pytest.MonkeyPatch) -> Kubernetes:
        monkeypatch.delenv("PULUMI_K8S_DELETE_UNREACHABLE", raising=False)
        provider = Kubernetes()
        text = loopback.plane.kubeconfig.read_text().replace(loopback.plane.url, "https://127.0.0.1:1")
        provider.configure({"kubeconfig": text})
        return provider

    def test_every_call_says_so(self, away: Kubernetes) -> None:
        row, inputs = _row(away, CONFIG_MAP), _config_map("a", {})
        for call in (
            lambda: row.create(inputs, Deadline()),
            lambda: row.read("n/a", inputs, {}),
            lambda: row.delete("n/a", inputs, Deadline()),
        ):
            with pytest.raises(ProviderError, match=r"does not answer .*; start the platform with scripts/up"):
                call()

    def test_its_objects_can_be_forgotten(self, away: Kubernetes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
        _row(away, CONFIG_MAP).delete("n/a", _config_map("a", {}), Deadline())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kubeconfig": "/nowhere/admin.conf"}, "/nowhere/admin.conf: cannot be read"),
        ({"kubeconfig": "{}"}, "no usable context"),
        ({"kubeconfig": "a: [\n"}, "not valid YAML"),
        ({"kubeconfig": "text\nonly"}, "is not a mapping"),
        ({}, "kubeconfig: is not set on the provider"),
    ],
)
def test_a_wrong_kubeconfig_is_told(settings: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    provider = Kubernetes()
    provider.configure(settings)
    with pytest.raises(ProviderError, match=message):
        _row(provider, CONFIG_MAP).read("n/a", {}, {})


@pytest.mark.parametrize("name", ["enableConfigMapMutable", "enableSecretMutable"])
def test_p1_data_that_must_not_change_in_place_is_refused(name: str) -> None:
    Kubernetes().configure({name: "true"})
    with pytest.raises(ProviderError, match=f"{name}: the offline plugin always changes data in place"):
        Kubernetes().configure({name: "false"})


def test_client_side_apply_is_refused() -> None:
    with pytest.raises(ProviderError, match="enableServerSideApply: the offline plugin always applies server-side"):
        Kubernetes().configure({"enableServerSideApply": "false"})
