"""What the gate reads of overlays: which digests are new, which environment comes before, and what it cannot tell."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ci import deployments, manifests
from ci.document import DocumentError
from ci.git import Repository
from ci.tree import CommitTree
from commits import Git
from mlplatform import pin

OLD, NEW = (f"sha256:{letter * 64}" for letter in "ab")
CLUSTERS = {"clusters/local/cluster.yaml": "stages: [dev, staging, prod]\n", "clusters/dev/cluster.yaml": "name: dev\n"}
DEV, STAGING = (f"apps/churn/overlays/{stage}/kustomization.yaml" for stage in ("dev", "staging"))
CACHE = "quay.io/brand/cache"
NOTHING_KNOWN = deployments.Known(lambda *_: False, lambda *_: False, lambda *_: frozenset())
BASE = {"apps/churn/base/deployment.yaml": "spec: {containers: [{name: churn, image: churn}]}\n"}


def overlay(digest: str, more: str = "") -> str:
    return f"resources: [../../base]\nimages: [{{name: churn, digest: '{digest}'}}]\n{more}"


@dataclass(frozen=True)
class Files:
    """A tree of texts by path."""

    content: Mapping[str, str]
    linked: frozenset[str] = field(default_factory=frozenset)

    def read(self, path: str) -> bytes | None:
        text = self.content.get(path)
        return None if text is None else text.encode()

    def files(self, folder: str) -> list[str]:
        return sorted(path for path in self.content if path.startswith(f"{folder.rstrip('/')}/"))

    def links(self, path: str) -> list[str]:
        return sorted(link for link in self.linked if link == path or link.startswith(f"{path.rstrip('/')}/"))


def judge(changed: dict[str, str], main: dict[str, str], deployed: str = "") -> deployments.Findings:
    before = {**CLUSTERS, **BASE, **main}
    return deployments.judge(
        list(changed),
        Files({**before, **changed}),
        Files(before),
        deployments.Known(
            lambda app, digest: (app, digest) == ("churn", NEW),
            lambda folder, digest: digest == deployed,
            lambda app, environment: manifests.read(Files(before), app, environment).digests,
        ),
    )


def problems(changed: dict[str, str], main: dict[str, str], deployed: str = "") -> list[str]:
    found = judge(changed, main, deployed)
    assert found.asks == ()
    return list(found.refused)


def test_s20_a_released_digest_passes_in_dev_and_waits_for_it_in_staging() -> None:
    assert problems({DEV: overlay(NEW)}, {}) == []
    assert len(problems({STAGING: overlay(NEW)}, {})) == 1
    assert problems({STAGING: overlay(NEW)}, {DEV: overlay(NEW)}) == []


def test_s20_what_stands_in_a_comment_runs_nowhere() -> None:
    [problem] = problems({STAGING: overlay(NEW)}, {DEV: overlay(OLD, f"# {NEW}\n")})
    assert "does not run in the environment before staging" in problem


@pytest.mark.parametrize(
    "path", [DEV, "apps/other/overlays/dev/kustomization.yaml", "apps/churn/overlays/platform/kustomization.yaml"]
)
def test_s20_a_digest_of_nobody_is_refused_wherever_it_is_deployed(path: str) -> None:
    digest = NEW if path.startswith("apps/other") else OLD
    [problem] = problems({path: overlay(digest)}, {})
    assert "is not an image that release has published" in problem


@pytest.mark.parametrize("path", ["apps/churn/overlays/dev/README.md", DEV])
def test_s20_a_digest_of_nobody_is_refused_in_a_comment_too(path: str) -> None:
    """Once main has had it, it may be deployed again."""
    changed = {DEV: overlay(NEW), path: overlay(NEW, f"# {OLD}\n")}
    [problem] = problems(changed, {})
    assert "is not an image that release has published" in problem


PATCHED = "resources: [../../base]\npatches: [{path: patch.yaml}]\n"
PATCH = "apps/churn/overlays/dev/patch.yaml"
POD = "spec: {template: {spec: {%s}}}\n"
# Each way to deploy an image that no release has published, as files of one pull request.
BYPASSES: dict[str, dict[str, str]] = {
    "an escape in the digest": {DEV: overlay(NEW).replace(f"'{NEW}'", f'"\\x73{OLD[1:]}"')},
    "a digest over two lines": {DEV: overlay(NEW).replace(f"'{NEW}'", f'"{OLD[:20]}\\\n  {OLD[20:]}"')},
    "a digest in capitals": {DEV: overlay(f"sha256:{'A' * 64}")},
    "a tag": {DEV: "images: [{name: churn, newTag: latest}]\n"},
    "a tag beside a digest": {DEV: overlay(NEW).replace("name: churn", "name: churn, newTag: latest")},
    "a suffix of a tag": {DEV: overlay(NEW).replace("name: churn", "name: churn, tagSuffix: x")},
    "no digest": {DEV: "images: [{name: churn, newName: evil.test/churn}]\n"},
    "a digest twice": {DEV: overlay(NEW).replace(f"'{NEW}'", f"'{OLD}', digest: '{NEW}'")},
    "images twice": {DEV: f"images: [{{name: churn, digest: '{OLD}'}}]\n{overlay(NEW)}"},
    "an image twice": {DEV: f"images:\n- {{name: churn, digest: '{NEW}'}}\n- {{name: churn, digest: '{OLD}'}}\n"},
    "an anchor": {DEV: f"x: &x '{OLD}'\nimages: [{{name: churn, digest: *x}}]\n"},
    "a merge key": {DEV: f"images: [{{<<: {{digest: '{OLD}'}}, name: churn}}]\n"},
    "a tag of YAML": {DEV: overlay(NEW).replace(f"'{NEW}'", "!!binary c2hhMjU2OmFh")},
    "a key that is bytes": {DEV: f"images: [{{name: churn, !!binary ZGlnZXN0: '{OLD}'}}]\n"},
    "several documents": {DEV: f"{overlay(NEW)}---\n{overlay(OLD)}"},
    "a line break of some readers": {DEV: overlay(NEW, "# \u2028images: [{name: churn, newTag: x}]\n")},
    "another case": {DEV: overlay(NEW, "Images: [{name: churn, newTag: latest}]\n")},
    "flow style": {DEV: f'{{"images": [{{"name": "churn", "digest": "{OLD}"}}]}}'},
    "a component": {DEV: overlay(NEW, "components: [../../x]\n"), "apps/churn/x/kustomization.yaml": overlay(OLD)},
    "a component as the overlay": {DEV: overlay(NEW, "kind: Component\n")},
    "an app's other folder": {DEV: "resources: [../../x]\n", "apps/churn/x/kustomization.yaml": overlay(OLD)},
    "another app": {DEV: "resources: [../../../other/base]\n"},
    "a folder of its own": {
        DEV: "resources: [../../base, sub]\n",
        "apps/churn/overlays/dev/sub/kustomization.yaml": "images: [{name: churn, newTag: x}]\n",
    },
    "a repository": {DEV: "resources: [../../base, 'https://evil.test/x?ref=main']\n"},
    "a repository by its short name": {DEV: "resources: [../../base, github.com/evil/x]\n"},
    "an older key": {DEV: "bases: [github.com/evil/x]\n"},
    "a chart": {DEV: overlay(NEW, "helmCharts: [{name: x, repo: 'https://evil.test'}]\n")},
    "a replacement": {DEV: overlay(NEW, "replacements: [{source: {kind: ConfigMap}, targets: []}]\n")},
    "a transformer": {DEV: overlay(NEW, "transformers: ['{kind: ImageTagTransformer, imageTag: {newTag: x}}']\n")},
    "a generator": {DEV: overlay(NEW, "generators: [x.yaml]\n")},
    "a configuration": {DEV: overlay(NEW, "configurations: [x.yaml]\n")},
    "variables": {DEV: overlay(NEW, "vars: [{name: X, objref: {kind: ConfigMap, name: x}}]\n")},
    "older patches": {DEV: overlay(NEW, "patchesStrategicMerge: ['{image: x}']\n")},
    "older operations": {DEV: overlay(NEW, "patchesJson6902: [{path: x.yaml}]\n")},
    "labels into a container": {
        DEV: overlay(NEW, "labels: [{pairs: {image: x}, fields: [{path: spec/template/spec/containers}]}]\n")
    },
    "a label's fields": {DEV: overlay(NEW, "labels: [{pairs: {a: x}, fields: [{path: spec, create: true}]}]\n")},
    "a patch with a tag": {DEV: PATCHED, PATCH: POD % "containers: [{name: churn, image: 'churn:x'}]"},
    "a patch with a digest": {DEV: PATCHED, PATCH: POD % f'containers: [{{name: churn, image: "x@\\x73{OLD[1:]}"}}]'},
    "a patch of a name that nothing pins": {DEV: PATCHED, PATCH: POD % "initContainers: [{name: x, image: x}]"},
    "a patch's second document": {DEV: PATCHED, PATCH: "spec: {}\n---\n" + POD % "containers: [{image: 'x:y'}]"},
    "a patch's image twice": {DEV: PATCHED, PATCH: POD % f"containers: [{{image: 'x:y', image: 'x@{NEW}'}}]"},
    "a patch in place": {DEV: "patches:\n- patch: |\n    spec: {containers: [{image: 'x:y'}]}\n"},
    "a patch of a volume": {DEV: PATCHED, PATCH: POD % "volumes: [{name: x, image: {reference: x}}]"},
    "an operation": {DEV: PATCHED, PATCH: "[{op: replace, path: /spec/containers/0/image, value: 'x:y'}]\n"},
    "an operation that hides its path": {DEV: PATCHED, PATCH: "[{op: add, path: /a, Path: /image, value: x}]\n"},
    "an operation on a container": {
        DEV: PATCHED,
        PATCH: "[{op: add, path: /spec/containers/-, value: {image: 'x:y'}}]\n",
    },
    "an operation that copies": {DEV: PATCHED, PATCH: "[{op: copy, from: /metadata/name, path: /spec/image}]\n"},
    "an object of its own": {
        DEV: overlay(NEW).replace("[../../base]", "[../../base, pod.yaml]"),
        "apps/churn/overlays/dev/pod.yaml": "kind: Pod\nspec: {containers: [{name: x, image: 'x:y'}]}\n",
    },
    "an object for another environment": {
        DEV: overlay(NEW).replace("[../../base]", "[../../base, pod.yaml]"),
        "apps/churn/overlays/dev/pod.yaml": f"metadata: {{namespace: prod}}\nspec: {{image: 'churn@{NEW}'}}\n",
    },
    "another environment": {DEV: overlay(NEW, "namespace: prod\n")},
    "a patch into another environment": {
        DEV: PATCHED,
        PATCH: "[{op: add, path: /metadata/namespace, value: prod}]\n",
    },
    "kustomize's other name": {"apps/churn/overlays/dev/kustomization.yml": overlay(NEW)},
    "two names": {DEV: overlay(NEW), "apps/churn/overlays/dev/Kustomization": "images: [{name: churn, newTag: x}]\n"},
    "Argo CD's own file": {
        DEV: overlay(NEW),
        "apps/churn/overlays/dev/.argocd-source.yaml": "kustomize: {images: ['churn=evil.test/x:y']}\n",
    },
    "a file outside": {DEV: overlay(NEW, "configMapGenerator: [{name: x, files: [../../../../a]}]\n"), "a": "x"},
    "a pin that is taken away": {DEV: "resources: [../../base]\n"},
}


@pytest.mark.parametrize("name", BYPASSES)
def test_s20_an_image_that_release_has_not_published_is_refused_however_it_is_written(name: str) -> None:
    main = {DEV: overlay(NEW), "apps/churn/overlays/prod/README.md": ""}
    found = judge(BYPASSES[name], main).refused
    assert found, name
    assert all(problem.startswith("apps/churn/overlays/dev") for problem in found)


@pytest.mark.parametrize(
    "files",
    [
        {DEV: overlay(NEW).replace("images: [", f"images: [{{name: {CACHE}, digest: '{OLD}'}}, ")},
        {DEV: overlay(NEW).replace("images: [", f"images: [{{name: cache, newName: {CACHE}, digest: '{OLD}'}}, ")},
        {
            DEV: overlay(NEW).replace("[../../base]", "[../../base, cache.yaml]"),
            "apps/churn/overlays/dev/cache.yaml": f"kind: Pod\nspec: {{containers: [{{image: '{CACHE}@{OLD}'}}]}}\n",
        },
    ],
)
def test_a2_an_owner_is_asked_for_somebody_elses_image(files: dict[str, str]) -> None:
    found = judge(files, {DEV: overlay(NEW)})
    assert found.refused == ()
    [ask] = found.asks
    assert str(ask) == (
        f"main cannot judge apps/churn/overlays/dev ({CACHE}@{OLD[:19]}): no release of this platform published it: "
        "an owner's approval is asked"
    )


def test_a2_somebody_elses_image_goes_through_the_environments_too() -> None:
    text = f"resources: [../../base]\nimages: [{{name: {CACHE}, digest: '{OLD}'}}]\n"
    [problem] = problems({STAGING: text}, {})
    assert "does not run in the environment before staging" in problem
    assert len(judge({STAGING: text}, {DEV: text}).asks) == 1
    # Main has it there: nobody is asked again.
    assert judge({STAGING: f"{text}replicas: []\n"}, {STAGING: text}) == deployments.Findings()


@pytest.mark.parametrize(
    "entry",
    [
        "{name: churn-worker, digest: DIGEST}",
        "{name: brand/cache, digest: DIGEST}",
        f"{{name: {CACHE}, newName: cache, digest: DIGEST}}",
        f"{{name: {CACHE}, digest: DIGEST}}, {{name: worker, digest: DIGEST}}",
    ],
)
def test_s20_an_image_of_ours_needs_its_release_whatever_else_is_beside_it(entry: str) -> None:
    text = f"resources: [../../base]\nimages: [{entry.replace('DIGEST', repr(OLD))}]\n"
    [problem] = problems({DEV: text}, {})
    assert "is not an image that release has published" in problem


def test_what_environments_differ_in_may_differ() -> None:
    text = (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        + overlay(NEW).replace("[../../base]", "[../../base/, ./more.yaml]")
        + "patches: [{path: patch.yaml, target: {kind: Deployment}}, {patch: '[{op: remove, path: /spec/x}]'}]\n"
        + "replicas: [{name: churn, count: 2}]\nlabels: [{pairs: {a: b}, includeSelectors: true}]\n"
        + "configMapGenerator: [{name: x, files: [a=settings/a.ini], literals: [image=b]}]\n"
    )
    files = {
        DEV: text,
        "apps/churn/overlays/dev/more.yaml": f"metadata: {{namespace: dev}}\nspec: {{image: 'churn:8@{NEW}'}}\n---\n",
        "apps/churn/overlays/dev/settings/a.ini": "[not: YAML",
        "apps/churn/overlays/dev/README.md": "why",
        PATCH: POD % "containers: [{name: churn, image: churn, env: [{name: A, value: b}]}]",
    }
    assert problems(files, {DEV: overlay(OLD)}) == []


def test_s20_the_message_names_file_key_and_fix() -> None:
    [problem] = problems({DEV: overlay(NEW, "components: [../../x]\n")}, {})
    assert problem.startswith(f"{DEV}: components: not read here: it may have apiVersion, kind, resources")
    assert problem.endswith("(what stages share lies in ../../base)")
    [problem] = problems({DEV: PATCHED, PATCH: "spec: {image: 'x:y'}"}, {})
    assert problem == f"{PATCH}: image 'x:y' is not by digest: write <name>@sha256:<64 hexadecimal digits>"
    [problem] = problems({DEV: "resources: [../../base]\n"}, {DEV: overlay(NEW)})
    assert problem == f"{DEV}: images: churn has lost its digest, and the base names it without: give it one"


def test_an_image_that_the_base_no_longer_names_needs_no_digest() -> None:
    files = {DEV: "resources: [../../base]\n", "apps/churn/base/deployment.yaml": "spec: {}\n"}
    assert problems(files, {DEV: overlay(NEW)}) == []


def test_what_touches_no_overlay_is_not_looked_at() -> None:
    assert problems({"apps/churn/base/deployment.yaml": f"image: x@{OLD}", "README.md": OLD}, {}) == []


def test_a_removed_overlay_deploys_nothing() -> None:
    main = {**CLUSTERS, STAGING: overlay(OLD)}
    head = Files(dict(CLUSTERS))
    found = deployments.judge([STAGING], head, Files(main), NOTHING_KNOWN)
    assert found == deployments.Findings()


@pytest.mark.parametrize("path", [".gitattributes", "apps/.gitattributes", "apps/churn/overlays/dev/.gitattributes"])
def test_what_makes_a_checkout_differ_from_the_commit_is_refused(path: str) -> None:
    """Argo CD reads a checkout, the gate a commit."""
    [problem, *_] = problems({path: "# Ours.\n*.yaml working-tree-encoding=UTF-16LE\n"}, {})
    assert problem.startswith(f"{path}: working-tree-encoding=UTF-16LE: what is deployed must be what was reviewed")


@pytest.mark.parametrize(
    "files", [{".gitattributes": "*.sh text eol=lf\n"}, {"docs/.gitattributes": "*.png filter=lfs\n"}]
)
def test_attributes_that_alter_nothing_that_is_deployed_may_be_set(files: dict[str, str]) -> None:
    assert problems(files, {}) == []


@pytest.mark.parametrize("name", [".argocd-source.yaml", ".hidden/x.yaml"])
def test_a_file_that_some_read_unasked_is_refused_where_it_is_named_too(name: str) -> None:
    text = overlay(NEW, f"configMapGenerator: [{{name: x, files: [a={name}]}}]\n")
    path = f"apps/churn/overlays/dev/{name}"
    [problem] = problems({DEV: text, path: f"kustomize: {{images: ['churn=evil.test/x@{OLD}']}}\n"}, {})[:1]
    assert problem == f"{path}: some read what begins with a dot unasked: give it another name"


def test_pins_are_looked_at_only_where_the_change_touches_them() -> None:
    """A branch that is older than a pin lacks it, and takes nothing away."""
    asked: list[tuple[str, str, str | None]] = []

    def pin_problems(app: str, environment: str, before: str | None) -> list[str]:
        asked.append((app, environment, before))
        return ["no"]

    known = dataclasses.replace(NOTHING_KNOWN, pin_problems=pin_problems)
    main, head = Files({**CLUSTERS, STAGING: overlay(OLD)}), Files({**CLUSTERS, STAGING: overlay(OLD, "# x\n")})
    assert deployments.judge([STAGING], head, main, known).refused == ()
    assert deployments.judge([pin.path("churn", "staging")], head, main, known).refused == ("no",)
    assert asked == [("churn", "staging", "dev")]


def test_the_environment_before() -> None:
    main = Files(dict(CLUSTERS))
    assert deployments.environment_before(main, "dev") is None
    assert deployments.environment_before(main, "prod") == "staging"
    assert deployments.environment_before(main, "platform") is None


def test_a_broken_cluster_of_main_is_named() -> None:
    with pytest.raises(DocumentError, match=r"clusters/local/cluster.yaml: stages: must be a list"):
        deployments.environment_before(Files({"clusters/local/cluster.yaml": "stages: dev"}), "staging")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    git = Git(tmp_path)
    git.init({**CLUSTERS, **BASE, DEV: overlay(NEW), "apps/churn/x/kustomization.yaml": overlay(OLD)})
    return git


@pytest.mark.parametrize(
    "place", [DEV, "apps/churn/overlays/dev", "apps/churn/overlays", "apps/churn/overlays/dev/x.md"]
)
def test_s20_a_link_takes_no_overlays_place(git: Git, place: str) -> None:
    main = git("rev-parse", "HEAD")
    target = git.root / place
    git("rm", "-r", "--quiet", "--ignore-unmatch", place)
    hidden = git.root / "apps/churn/x"
    git.write({"apps/churn/x/dev/kustomization.yaml": overlay(OLD)})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(os.path.relpath(hidden / "kustomization.yaml" if target.suffix else hidden, target.parent))
    head, repository = git.commit(), Repository(git.root)
    trees = CommitTree(repository, head), CommitTree(repository, main)
    found = deployments.judge(repository.changed(main, head), *trees, NOTHING_KNOWN).refused
    assert found
    assert found[0].startswith(f"{place}: links are not followed")


def test_s20_a_commit_within_a_merged_branch_was_never_deployed(git: Git) -> None:
    """A branch's commits come to main with it, also what a later one took back before anybody judged it."""
    folder, repository = "apps/churn/overlays/dev", Repository(git.root)
    git("checkout", "--quiet", "-b", "branch")
    for text in (overlay(OLD), overlay(NEW)):
        git.write({DEV: text, "README.md": text})
        git.commit()
    git.merge("branch")
    assert deployments.was_deployed(repository, "main", folder, NEW)
    assert not deployments.was_deployed(repository, "main", folder, OLD)

    git("checkout", "--quiet", "-b", "deploys")
    git.write({DEV: overlay(OLD)})
    git.commit()
    git.merge("deploys")
    assert deployments.was_deployed(repository, "main", folder, OLD)
    assert not deployments.was_deployed(repository, "main", "apps/churn/overlays/prod", OLD)
