"""The job that prunes the data bucket: a real forge and its own token of the job, a real, versioned object store."""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

import forge
from ci import git, prune
from ci.failure import Failure
from ci.store import Store
from mlplatform.objects.prune import MOST_REPLACED, versions
from mlplatform.objects.verify import key
from mlplatform.retention import DAY, Limit

pytestmark = pytest.mark.tools

Project = Any
BUCKET = "ml-data"
LATER = timedelta(days=31)


def pointer(md5: str) -> str:
    return f"outs:\n- md5: {md5}\n  path: x\n"


@dataclass
class Bucket:
    """A remote of DVC's in a versioned bucket, and what was put there by the name that a test gives it."""

    client: Any
    prefix: str
    known: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, content: bytes = b"", suffix: str = "", folder: str = "") -> str:
        """An object of DVC's; returns its MD5."""
        content = content or f"{self.prefix} {name}".encode()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
        self.known[name] = key(f"{self.prefix}{folder}", md5)
        self.client.put_object(Bucket=BUCKET, Key=self.known[name], Body=content)
        return md5

    def leave(self, path: str) -> str:
        """What a run left."""
        self.known[path] = path
        self.client.put_object(Bucket=BUCKET, Key=path, Body=b"left")
        return path

    def there(self) -> set[str]:
        """The names of what is there and not deleted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        found = {one["Key"] for page in pages for one in page.get("Contents", [])}
        return {name for name, place in self.known.items() if place in found}

    def versions(self, name: str) -> int:
        """How many versions and markers there are of it."""
        found = self.client.list_object_versions(Bucket=BUCKET, Prefix=self.known[name])
        return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))


@pytest.fixture
def project(new_project: Callable[[Mapping[str, str]], Project]) -> Project:
    return new_project({})


@pytest.fixture
def bucket(project: Project) -> Iterator[Bucket]:
    login = {name: project.variables[name.upper()] for name in ("aws_access_key_id", "aws_secret_access_key")}
    endpoint, region = project.variables["AWS_ENDPOINT_URL_S3"], project.variables["AWS_REGION"]
    with closing(boto3.client("s3", endpoint_url=endpoint, region_name=region, **login)) as client:
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield Bucket(client, f"{project.name}/dvc")


@pytest.fixture
def job(project: Project) -> Callable[[], dict[str, Any]]:
    """Starts the job by hand, as the clock does; it has a token of its own until it ends."""

    def start() -> dict[str, Any]:
        url = project.url.rpartition(f"/{project.name}")[0]
        path = f"{url}/api/v1/repos/{project.name}/actions/workflows/prune.yml/dispatches"
        answer = httpx.post(path, json={"ref": "main"}, timeout=30)
        assert answer.is_success, answer.text
        while task := project.runner.take():
            if task["context"]["workflow"] == "prune.yml":
                return dict(task)
            project.finish(task)
        raise AssertionError("the job does not start")

    return start


def tidy(project: Project, bucket: Bucket, token: str, later: timedelta, folder: Path) -> None:
    """Do what the job does in a fresh checkout, so much later."""
    if not folder.exists():
        project.git("clone", "--quiet", project.url, str(folder), folder=folder.parent)
    repository = git.Repository(folder)
    repository.git("fetch", "--quiet", "origin")
    repository.git("checkout", "--quiet", "--detach", "origin/main")
    url = project.variables["FORGE_URL"]
    with closing(forge.connect("gitea", url, project.name, forge.Token(token))) as client:
        source = git.Remote(f"{url}/{project.name}.git", token)
        prune.tidy(repository, source, client, Store(BUCKET, bucket.client), datetime.now(UTC) + later)


def test_d17_nothing_goes_that_main_an_open_pull_request_or_a_tag_names(
    project: Project, bucket: Bucket, job: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    project.git("checkout", "--quiet", "main")
    # Main names them, or did; of a folder it names the listing alone.
    file, earlier = bucket.put("file in main's folder"), bucket.put("main named it once")
    listing = json.dumps([{"md5": file, "relpath": "a"}]).encode()
    project.push("main", {"ml/a.dvc": pointer(earlier), "ml/b.dvc": pointer(bucket.put("main", listing, ".dir"))})
    test_set = bucket.put("main's test set", folder="-test")
    project.push("main", {"ml/a.dvc": pointer(test_set)})
    # A tag that no branch leads to.
    project.git("checkout", "--quiet", "--detach", "main")
    (project.root / "ml/tagged.dvc").write_text(pointer(bucket.put("tag")))
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "t")
    project.git("tag", "v1")
    project.git("push", "--quiet", "origin", "v1")
    # An open pull request, by its head and by what its head no longer has; and one that was closed.
    pull = project.propose("open", {"ml/open.dvc": pointer(bucket.put("open pull request, earlier"))})
    first = pull.head_sha
    head = project.push("open", {"ml/open.dvc": pointer(bucket.put("open pull request"))})
    closed = project.propose("closed", {"ml/closed.dvc": pointer(bucket.put("closed pull request"))})
    project.member.close_pull_request(closed.number)
    project.member.delete_branch("closed")
    # No pull request has these.
    project.git("checkout", "--quiet", "main")
    project.push("main", {"ml/a.dvc": pointer(bucket.put("main's last but one"))})
    project.push("main", {"ml/a.dvc": pointer(bucket.put("main's newest"))})
    bucket.put("nobody")
    bucket.put("nobody's test set", folder="-test")
    wanted = {
        "file in main's folder",
        "main",
        "main named it once",
        "main's last but one",
        "main's newest",
        "main's test set",
        "tag",
        "open pull request",
        "open pull request, earlier",
    }
    runs = {one.head_sha: one.id for one in project.member.workflow_runs(head)}
    wanted |= {bucket.leave(f"runs/{runs[head]}"), bucket.leave(f"runs/{first}/ml/dvc.lock")}
    wanted |= {bucket.leave(f"previews/{head}.json")}
    [of_closed, *_] = project.member.workflow_runs(closed.head_sha)
    for path in (f"runs/{of_closed.id}", f"runs/{closed.head_sha}/ml/dvc.lock", f"previews/{closed.head_sha}.json"):
        bucket.leave(path)
    bucket.client.put_object(Bucket=BUCKET, Key="measurements/old.json", Body=b"1")
    bucket.known["a measurement"] = "measurements/old.json"
    everything = set(bucket.known)

    task = job()
    token = task["context"]["token"]
    project.variables["BOT_TOKEN"] = token
    output = project.run_again(task)
    assert f"s3://{BUCKET}/{bucket.prefix}/files/md5/: 0 objects deleted, 0 old versions removed" in output
    assert bucket.there() == everything, "all are young"

    tidy(project, bucket, token, timedelta(days=15), tmp_path / "job")
    left = {name for name in everything if name.startswith(("runs/", "previews/"))}
    assert bucket.there() == everything - left | wanted & left
    tidy(project, bucket, token, LATER, tmp_path / "job")
    assert bucket.there() == wanted | {"a measurement"}
    assert bucket.versions("nobody") == 2, "what was deleted can be had again"
    tidy(project, bucket, token, LATER * 2, tmp_path / "job")
    assert bucket.versions("nobody") == bucket.versions(f"runs/{of_closed.id}") == 0
    assert bucket.there() == wanted | {"a measurement"}
    project.finish(task)


def test_d17_too_much_goes_sooner_for_good_of_runs_and_to_be_had_again_of_objects(
    project: Project, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.git("checkout", "--quiet", "main")
    project.push("main", {"ml/a.dvc": pointer(bucket.put("main", b"m" * 900))})
    head = project.propose("open", {"ml/open.dvc": "later"}).head_sha
    [of_open, *_] = project.member.workflow_runs(head)
    kept = bucket.leave(f"runs/{of_open.id}")
    for number in range(9):
        bucket.client.put_object(Bucket=BUCKET, Key=kept, Body=b"%d" % number * 500)
    others = {bucket.leave("runs/9000001"), bucket.leave("previews/9000002.json")}
    bucket.put("nobody", b"n" * 60)
    everything = set(bucket.known)

    def after(days: float) -> set[str]:
        tidy(project, bucket, project.variables["BOT_TOKEN"], timedelta(days=days), tmp_path / "job")
        return everything - bucket.there()

    assert after(0) == set()
    assert bucket.versions(kept) == 1 + MOST_REPLACED, "what a run replaces without end fills no disk within the day"
    assert after(2) == set()
    assert bucket.versions(kept) == 1
    assert bucket.client.get_object(Bucket=BUCKET, Key=kept)["Body"].read() == b"8" * 500
    # The two others have four bytes each.
    monkeypatch.setattr(prune, "LEFT_LIMIT", Limit(14 * DAY, 7))
    monkeypatch.setattr(prune, "OBJECT_LIMIT", replace(prune.OBJECT_LIMIT, size=59))
    assert after(0.9) == set(), "nothing that is not a day old"
    gone = after(2)
    assert len(gone & others) == 1
    assert gone - others == set(), "who pushed data has a week to open the pull request that names them"
    assert after(8) - others == {"nobody"}
    assert bucket.versions(next(iter(gone & others))) == 0
    assert bucket.versions("nobody") == 2
    after(25)
    assert bucket.versions("nobody") == 2, "the size does not shorten the time in which it can be had again"


def test_d17_an_old_version_of_a_named_object_stays_and_tells_of_a_folders_files(
    project: Project, bucket: Bucket, tmp_path: Path
) -> None:
    """Whoever may write there replaced a folder's listing: nothing in it is lost before it is repaired."""
    project.git("checkout", "--quiet", "main")
    file = bucket.put("file")
    folder = bucket.put("folder", json.dumps([{"md5": file, "relpath": "a"}]).encode(), ".dir")
    project.push("main", {"ml/a.dvc": pointer(folder)})
    bucket.client.put_object(Bucket=BUCKET, Key=bucket.known["folder"], Body=b"[]")
    for later in (LATER, LATER * 3):
        tidy(project, bucket, project.variables["BOT_TOKEN"], later, tmp_path / "job")
        assert bucket.there() == {"file", "folder"}
        assert bucket.versions("folder") == 2


def test_d17_nothing_goes_where_nobody_can_tell_what_a_folder_named(
    project: Project, bucket: Bucket, tmp_path: Path
) -> None:
    project.git("checkout", "--quiet", "main")
    never = f"{'f' * 32}.dir"
    bucket.known["never whole"] = key(bucket.prefix, never)
    project.push("main", {"ml/b.dvc": pointer(never)})
    bucket.client.put_object(Bucket=BUCKET, Key=bucket.known["never whole"], Body=b"[]")
    bucket.put("nobody")
    with pytest.raises(Failure, match="is no whole listing of a folder, so nothing is removed"):
        tidy(project, bucket, project.variables["BOT_TOKEN"], LATER, tmp_path / "job")
    assert bucket.there() == {"never whole", "nobody"}


def test_d17_what_only_a_pull_request_names_keeps_nothing_else_from_going(
    project: Project, bucket: Bucket, tmp_path: Path
) -> None:
    """A listing that is damaged for good, in a commit that git would not make: anybody can push either."""
    told, main = bucket.put("it still tells of"), bucket.put("main")
    bucket.put("nobody")
    project.git("checkout", "--quiet", "main")
    project.push("main", {"ml/a.dvc": pointer(main)})
    never = f"{'f' * 32}.dir"
    bucket.known["never whole"] = key(bucket.prefix, never)
    for content in (json.dumps([{"md5": told, "relpath": "a"}])[:-5].encode(), b"[]"):
        bucket.client.put_object(Bucket=BUCKET, Key=bucket.known["never whole"], Body=content)
    pull = project.propose("odd", {"ml/b.dvc": pointer(never)})
    folder = project.git("rev-parse", "HEAD:ml").strip()
    entries = f"040000 tree {folder}\tml\n040000 tree {folder}\tml\n"
    twice = subprocess.run(["git", "mktree"], cwd=project.root, input=entries.encode(), capture_output=True, check=True)
    odd = project.git("commit-tree", "-p", "HEAD", "-m", "odd", twice.stdout.decode().strip()).strip()
    project.git("push", "--quiet", "origin", f"{odd}:refs/heads/odd")
    # The forge has to have seen it.
    assert project.member.pull_request(pull.number).head_sha == odd

    message = (
        f"all else was looked at, but {bucket.known['never whole']}, which #{pull.number} names, is no whole listing"
    )
    for later in (LATER, LATER * 3):
        with pytest.raises(Failure, match=message):
            tidy(project, bucket, project.variables["BOT_TOKEN"], later, tmp_path / "job")
        assert bucket.there() == {"it still tells of", "main", "never whole"}
    assert bucket.versions("nobody") == 0
    assert bucket.versions("never whole") == 2

    # What a tag names is nobody's to give up.
    project.git("tag", "v1", odd)
    project.git("push", "--quiet", "origin", "v1")
    bucket.put("nobody")
    with pytest.raises(Failure, match="is no whole listing of a folder, so nothing is removed"):
        tidy(project, bucket, project.variables["BOT_TOKEN"], LATER, tmp_path / "job")
    assert bucket.there() == {"it still tells of", "main", "never whole", "nobody"}


def test_d17_a_main_that_names_nothing_is_a_failure_and_nothing_goes(
    project: Project, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("nobody")
    folder = tmp_path / "empty"
    project.git("clone", "--quiet", project.url, str(folder), folder=tmp_path)
    project.git("checkout", "--quiet", "--orphan", "fresh", folder=folder)
    for path in folder.rglob("*.dvc"):
        if path.is_file():
            path.unlink()
    project.git("add", "--all", folder=folder)
    project.git("commit", "--quiet", "--message", "fresh", folder=folder)
    project.git("push", "--quiet", "--force", "origin", "fresh:main", folder=folder)
    with pytest.raises(Failure, match="names any object"):
        tidy(project, bucket, project.variables["BOT_TOKEN"], LATER, tmp_path / "job")
    assert bucket.there() == {"nobody"}


def test_d17_each_version_is_listed_once_whatever_the_pages(project: Project, bucket: Bucket) -> None:
    """Or one that is current would seem to have been replaced by itself."""
    for number in range(3):
        for content in (b"1", b"2"):
            bucket.put(str(number), content=content + str(number).encode())
            bucket.client.put_object(Bucket=BUCKET, Key=bucket.known[str(number)], Body=b"again")
    bucket.client.delete_object(Bucket=BUCKET, Key=bucket.known["0"])
    prefix = f"{project.name}/dvc/files/md5/"
    once = versions(bucket.client, BUCKET, prefix)
    assert len({(one.key, one.id) for one in once}) == len(once) > 12
    for page in (2, 3, 5):
        assert set(versions(bucket.client, BUCKET, prefix, page)) == set(once)
        assert len(versions(bucket.client, BUCKET, prefix, page)) == len(once)


@pytest.mark.parametrize(
    ("path", "run"),
    [("runs/71", "71"), ("runs/71/ml/dvc.lock", "71"), ("runs/71.tar.gz", "71"), ("runs/", "")],
)
def test_what_a_run_left_is_told_by_its_key(path: str, run: str) -> None:
    assert prune.run_of(path) == run


@pytest.mark.parametrize(
    ("path", "md5"),
    [
        ("dvc/files/md5/ab/" + "c" * 30, "ab" + "c" * 30),
        ("dvc/files/md5/ab/" + "c" * 30 + ".dir", "ab" + "c" * 30 + ".dir"),
        ("dvc/files/md5/ab/" + "c" * 29, None),
        ("dvc/files/md5/README", None),
    ],
)
def test_only_what_has_the_name_of_an_object_is_one(path: str, md5: str | None) -> None:
    assert prune.object_of(path, "dvc/files/md5/") == md5
