"""Hands a file over by an address that was signed for it: all that a job without a credential may write."""

import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from ci.failure import Failure
from ci.store import Store
from forge import WorkflowRun

VARIABLE = "RUN_UPLOAD_URL"
"""Where the runner tells a job the address for what its run leaves: the object `key(run)` of the data bucket."""
# What one request may carry: https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
MOST_BYTES = 5 * 2**30
SECONDS = 60


def key(run: int | str) -> str:
    """Where a workflow run leaves what it made, in the data bucket; `run` is the forge's own number of it."""
    return f"runs/{run}"


def ending(what: str, run: WorkflowRun) -> str:
    """Why there is nothing where an ended run should have left something."""
    if run.conclusion == "success":
        return f"{what} ended without a result: run it again"
    if run.conclusion == "skipped":
        return f"{what} was skipped, by the condition in its workflow: push a commit, which starts it again"
    return f"{what} ended with {run.conclusion or 'an error'}: its log says why"


def put(url: str, file: Path) -> None:
    """Write an object by an address that was signed for it. Raises `Failure`."""
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise Failure(f"{file.name} has {size / 2**30:.1f} GiB; 5 GiB can be handed over: leave less")
    # The address is the platform's own; the host's proxy is not for its services.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with file.open("rb") as stream:
        request = urllib.request.Request(url, stream, {"Content-Length": str(size)}, method="PUT")  # noqa: S310
        try:
            with opener.open(request, timeout=SECONDS):
                return
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code}"
        except OSError as error:
            reason = str(error)
    # Without the address, which is a credential.
    raise Failure(f"the result could not be handed over: {reason}: run the job again")


def leave(store: Store, run: str, file: Path, variables: Mapping[str, str] = os.environ) -> None:
    """Leave what a run made for the jobs of main that read it. Raises `Failure`.

    Where the runner signed no address, as on AWS, the job's own credential has to do.
    """
    if url := variables.get(VARIABLE):
        put(url, file)
    else:
        store.put_file(key(run), file)
    print(f"left for the report: s3://{store.bucket}/{key(run)}")
