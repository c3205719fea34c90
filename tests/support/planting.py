"""What one job leaves for the next wherever it can (R18), and how the next one finds it."""

MARK = "planted-by-job-1"

# Prints a line for each place: planted, or refused and why.
PLANT = f"""
import glob, os, pathlib, subprocess
MARK = {MARK!r}
def plant(path, mode=0o644):
    try:
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"import sys; sys.stderr.write('{{MARK}}')  # {{MARK}}\\n")
        path.chmod(mode)
        print("planted", path)
    except OSError as error:
        print("refused", path, error.strerror)
# In every environment that is there, of this version's layout and of an earlier one's.
for packages in glob.glob("/cache/**/lib/python3*/site-packages", recursive=True):
    plant(f"{{packages}}/zz.pth")
for layer in ("/cache", "/cache/base"):
    # A stored object that DVC would take for checked, a result that it would take from a former run, and a wheel.
    plant(f"{{layer}}/dvc/files/md5/ab/{{MARK}}", 0o444)
    plant(f"{{layer}}/dvc/runs/ab/abcd/{{MARK}}")
    plant(f"{{layer}}/uv/wheels-v5/pypi/six/{{MARK}}.whl")
    plant(f"{{layer}}/environments/{{MARK}}.json")
    plant(f"{{layer}}/{{MARK}}")
for folder in (os.environ["HOME"], "/tmp", os.environ["RUNNER_WORK"], "/dev/shm"):
    plant(f"{{folder}}/{{MARK}}")
for name in os.listdir("/cache/base") if os.path.isdir("/cache/base") else []:
    try:
        os.rename(f"/cache/base/{{name}}", f"/cache/base/{{name}}-{{MARK}}")
        print("planted", f"/cache/base/{{name}}-{{MARK}}")
    except OSError as error:
        print("refused to rename", name, error.strerror)
subprocess.Popen(["python3", "-c", f"import time; time.sleep(600)  # {{MARK}}"], start_new_session=True,
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("planted a process")
"""

# Prints `found` and a place for each trace, and `looked` at the end.
LOOK = f"""
import os, pathlib
MARK = {MARK!r}
for top in ("/cache", os.environ["HOME"], "/tmp", os.environ["RUNNER_WORK"], "/dev/shm"):
    for folder, folders, files in os.walk(top):
        for name in (*files, *folders):
            path = pathlib.Path(folder, name)
            try:
                here = MARK in str(path.relative_to(top)) or (
                    name.endswith((".pth", ".json", ".py")) and MARK in path.read_text(errors="replace"))
            except OSError:
                continue
            # The script that looks, and the log of its job, name what they look for.
            if here and name not in ("look.py",):
                print("found", path)
for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    try:
        words = process.read_bytes().split(b"\\0")
    except OSError:
        continue
    if any(b"sleep(600)" in word and MARK.encode() in word and b"looked" not in word for word in words):
        print("found process", process)
print("looked")
"""


def found(output: str) -> list[str]:
    """The traces that LOOK printed; it must have come to its end."""
    lines = output.splitlines()
    assert any(line.endswith("looked") for line in lines), output
    return [line.partition("found ")[2] for line in lines if "found " in line]


def planted(output: str) -> set[str]:
    """The places where PLANT could write."""
    return {line.partition("planted ")[2] for line in output.splitlines() if "planted " in line}
