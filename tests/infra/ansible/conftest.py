"""Loads Ansible modules as Ansible does: by file, with the project's module_utils beside Ansible's own."""

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import ansible.module_utils
import pytest

from settings import ROOT

FOLDER = ROOT / "infra" / "ansible"
ansible.module_utils.__path__.append(str(FOLDER / "module_utils"))


@pytest.fixture(scope="session")
def library() -> Callable[[str], ModuleType]:
    """Loads `infra/ansible/library/<name>.py`."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"library_{name}", FOLDER / "library" / f"{name}.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look their module up by name.
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load
