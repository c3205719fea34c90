"""Which stacks a change affects: a pure function of changed paths and of what the clusters say."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ci.document import mapping, parse_yaml, texts
from ci.failure import Unacceptable
from ci.tree import Tree

# What the program of every AWS stack is made of. `*` matches `/` too.
PROGRAM = (
    "infra/*",
    "argocd/install/*",
    "argocd/root.yaml",
    "Pulumi.yaml",
    "requirements/ops.txt",
    "src/mlplatform/network/*",
    "src/mlplatform/plugins/*",
)
# What lies among it and only a host, an image or a run by hand is made of. The toolchain counts for one thing: it pins
# the Argo CD that is installed.
OTHERS = ("infra/ansible/*", "infra/bootstrap/*", "infra/images/*", "infra/toolchain/*")
ARGOCD = ("infra/toolchain/go/argocd/*", "infra/toolchain/tools.toml")


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack on AWS. `shared` names the stack whose outputs a stage reads, and is empty for that stack itself."""

    name: str
    shared: str


def known(tree: Tree) -> list[Stack]:
    """The AWS stacks that a commit describes, in the order in which they are applied.

    The commit may be anybody's: a file that cannot be understood is a stack all the same, whose preview says why.
    """
    found: dict[str, Stack] = {}
    shared: set[str] = set()
    order: list[str] = []
    for path in tree.files("clusters"):
        folder, _, file = path.removeprefix("clusters/").partition("/")
        if file != "cluster.yaml":
            continue
        try:
            content = mapping(parse_yaml(tree.read(path) or b"", path), path)
            stages = texts(content.get("stages"), f"{path}: stages")
        except Unacceptable:
            content, stages = {"provider": "aws"}, []
        match content.get("provider"):
            case "aws-shared":
                found[folder] = Stack(folder, "")
                shared.add(folder)
                order += stages
            case "aws":
                found[folder] = Stack(folder, str(content.get("shared") or ""))
            case _:
                pass  # provisioned from its own machine, by scripts/up

    def position(stack: Stack) -> tuple[bool, int, str]:
        """What stages read comes first; they follow as it lists them; then whatever it does not list."""
        listed = order.index(stack.name) if stack.name in order else len(order)
        return stack.name not in shared, listed, stack.name

    return sorted(found.values(), key=position)


def affected(changed: Iterable[str], stacks: Iterable[Stack]) -> list[str]:
    """The names of the stacks that changed paths affect, in the order of `stacks`."""
    paths = list(changed)
    if any(is_program(path) for path in paths):
        return [stack.name for stack in stacks]
    return [
        stack.name for stack in stacks if any(is_own(path, stack.name) or is_own(path, stack.shared) for path in paths)
    ]


def is_own(path: str, stack: str) -> bool:
    """Whether a path holds facts or settings of this stack."""
    return path.startswith(f"clusters/{stack}/") or path == f"clusters/Pulumi.{stack}.yaml"


def is_program(path: str) -> bool:
    """Whether a path is part of what every AWS stack is made of."""
    if _matches(path, OTHERS):
        return _matches(path, ARGOCD)
    return _matches(path, PROGRAM)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)
