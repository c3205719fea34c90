"""The facts of a cluster (`clusters/<name>/cluster.yaml`) and the places on this host that hold its state.

Ansible, Pulumi, the scripts and the tests read both from here. This module imports neither Pulumi nor a client
library, so that every verb starts quickly.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "ml-platform"
DOMAIN = "ml-platform.dev"

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
BUCKET = re.compile(r"[a-z0-9]([a-z0-9-]{1,61}[a-z0-9])")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
RUNNER_POOLS = ("ml-cpu", "ml-gpu")
RESERVED_NAMESPACES = frozenset(
    {"argocd", "default", "kube-node-lease", "kube-public", "kube-system", "runner-controller"}
)


class SettingsError(ValueError):
    """A setting that cannot be used. The message names the file, the key and what would work."""


def _dns_label(value: str) -> str:
    if not DNS_LABEL.fullmatch(value):
        raise ValueError(f"{value!r} is not a DNS label; use lower-case letters, digits and inner hyphens, 63 at most")
    return value


def _stage(value: str) -> str:
    if value in RESERVED_NAMESPACES:
        raise ValueError(f"{value!r} is a namespace of the platform itself; choose another stage name")
    return _dns_label(value)


def _bucket(value: str) -> str:
    if not BUCKET.fullmatch(value):
        raise ValueError(f"{value!r} is not a bucket name; use 3 to 63 lower-case letters, digits and inner hyphens")
    return value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{value!r} is not an http or https URL; write it as http://host:port")
    if parts.username or parts.query or parts.fragment or parts.path:
        # Not the value itself: it may hold a password.
        raise ValueError(f"has more than scheme, host and port; did you mean {_origin(value)!r}?")
    try:
        parts.port  # noqa: B018 - the property raises when the port is out of range
    except ValueError:
        raise ValueError(f"{value!r} has a port that is not between 1 and 65535") from None
    return value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _host_port(value: str) -> str:
    host, _, port = value.partition(":")
    if "/" in value:
        raise ValueError(f"{value!r} has a scheme or a path; write host or host:port only")
    if not host or (":" in value and not (port.isdigit() and 0 < int(port) < 65536)):
        raise ValueError(f"{value!r} is not a host or host:port with a port between 1 and 65535")
    return value


def _address(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv4 address such as 10.254.254.1") from None


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError:
        pass
    try:
        fixed = ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv4 range such as 10.201.0.0/16") from None
    raise ValueError(f"{value!r} has host bits set; did you mean {str(fixed)!r}?")


def _repository(value: str) -> str:
    if not REPOSITORY.fullmatch(value) or value.endswith(".git"):
        raise ValueError(f"{value!r} is not owner/name (without .git)")
    return value


Stage = Annotated[str, AfterValidator(_stage)]
Bucket = Annotated[str, AfterValidator(_bucket)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Cidr = Annotated[str, AfterValidator(_cidr)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A part of `cluster.yaml`: keys in camelCase, unknown keys and lenient conversions refused, values frozen."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class Kubernetes(Section):
    node_address: Annotated[str, AfterValidator(_address)]
    api_port: Port
    pod_cidr: Cidr
    service_cidr: Cidr

    @property
    def api_url(self) -> str:
        return f"https://{self.node_address}:{self.api_port}"

    @property
    def dns_address(self) -> str:
        """The cluster DNS service's address: by kubeadm's convention the tenth of the service range."""
        return str(ipaddress.IPv4Network(self.service_cidr)[10])

    @model_validator(mode="after")
    def _ranges_apart(self) -> Self:
        pods, services = ipaddress.IPv4Network(self.pod_cidr), ipaddress.IPv4Network(self.service_cidr)
        if pods.overlaps(services):
            raise ValueError(f"podCidr {pods} and serviceCidr {services} overlap; choose two ranges apart")
        for key, network in (("podCidr", pods), ("serviceCidr", services)):
            if network.prefixlen > 24:
                raise ValueError(f"{key} {network} is too small; use /24 or wider")
            if ipaddress.IPv4Address(self.node_address) in network:
                raise ValueError(f"nodeAddress {self.node_address} lies inside {key} {network}; choose one outside it")
        return self


class ObjectStore(Section):
    endpoint: HttpUrl
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    data_bucket: Bucket
    models_bucket: Bucket

    @model_validator(mode="after")
    def _buckets_apart(self) -> Self:
        if self.data_bucket == self.models_bucket:
            raise ValueError(f"dataBucket and modelsBucket are both {self.data_bucket!r}; they need a bucket each")
        return self


class Registry(Section):
    host: Annotated[str, AfterValidator(_host_port)]


class Forge(Section):
    kind: Literal["gitea"]
    url: HttpUrl
    repository: Annotated[str, AfterValidator(_repository)]

    @property
    def clone_url(self) -> str:
        return f"{self.url}/{self.repository}.git"


class ArgoCD(Section):
    node_port: Annotated[int, Field(ge=30000, le=32767)]


class Runners(Section):
    pools: Annotated[list[Literal["ml-cpu", "ml-gpu"]], Field(min_length=1)]

    @model_validator(mode="after")
    def _pools_once(self) -> Self:
        _refuse_duplicates("pools", self.pools)
        return self


class Cluster(Section):
    """One cluster: what it is called, where it runs, which stages it hosts, and the services it uses."""

    name: Annotated[str, AfterValidator(_dns_label)]
    provider: Literal["local"]
    stages: Annotated[list[Stage], Field(min_length=1)]
    kubernetes: Kubernetes
    object_store: ObjectStore
    registry: Registry
    forge: Forge
    argocd: ArgoCD
    runners: Runners

    @model_validator(mode="after")
    def _stages_once(self) -> Self:
        _refuse_duplicates("stages", self.stages)
        return self

    @model_validator(mode="after")
    def _ports_apart(self) -> Self:
        """On one machine every service listens on the node address, so each needs a port of its own."""
        ports = {
            "kubernetes.apiPort": self.kubernetes.api_port,
            "objectStore.endpoint": urlsplit(self.object_store.endpoint).port,
            "registry.host": int(self.registry.host.partition(":")[2] or 80),
            "forge.url": urlsplit(self.forge.url).port,
            "argocd.nodePort": self.argocd.node_port,
        }
        taken: dict[int | None, str] = {}
        for key, port in ports.items():
            if port in taken:
                raise ValueError(f"{key} and {taken[port]} both use port {port}; give each its own")
            taken[port] = key
        return self


def _refuse_duplicates(key: str, values: list[Any]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{key} lists {', '.join(twice)} twice; keep one")


def load_cluster(name: str, root: Path = ROOT) -> Cluster:
    """Read and check `clusters/<name>/cluster.yaml` under `root`. Raises SettingsError."""
    folder = root / "clusters"
    path = folder / name / "cluster.yaml"
    if not DNS_LABEL.fullmatch(name) or not path.is_file():
        known = ", ".join(sorted(p.parent.name for p in folder.glob("*/cluster.yaml"))) or "none"
        raise SettingsError(f"clusters/{name}/cluster.yaml: there is no cluster {name!r}; clusters here: {known}")
    cluster = read_cluster(path, shown_as=f"clusters/{name}/cluster.yaml")
    if cluster.name != name:
        raise SettingsError(f"clusters/{name}/cluster.yaml: name: is {cluster.name!r}; write the folder's name, {name}")
    return cluster


def read_cluster(path: Path, shown_as: str | None = None) -> Cluster:
    """Read and check one cluster file; `shown_as` is its name in messages. Raises SettingsError."""
    shown = shown_as or path.name
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise SettingsError(
            f"{shown}: cannot be read ({error.strerror}); check that it exists and is readable"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{shown}: is not UTF-8 text; save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{shown}: is not valid YAML ({_yaml_problem(error)}); correct the syntax there") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{shown}: must be a mapping; start from clusters/local/cluster.yaml")
    try:
        return Cluster.model_validate(document)
    except ValidationError as error:
        raise SettingsError("\n".join(f"{shown}: {problem}" for problem in _problems(error))) from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, where YAML libraries silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} appears twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _yaml_problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]


def _problems(error: ValidationError) -> list[str]:
    """Each mistake once: a misspelt key is not reported as missing too."""
    items = error.errors()
    misspelt = {
        (*item["loc"][:-1], meant)
        for item in items
        if item["type"] == "extra_forbidden" and (meant := _meant(list(item["loc"])))
    }
    return [_problem(item) for item in items if item["type"] != "missing" or item["loc"] not in misspelt]


def _meant(location: list[Any]) -> str | None:
    """The known key that an unknown one looks like."""
    close = get_close_matches(to_camel(str(location[-1])), _known_keys(location[:-1]), n=1, cutoff=0.8)
    return close[0] if close else None


def _problem(item: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one answer a kind of error
    """One pydantic error as `key: what is wrong; what would work`."""
    location = list(item["loc"])
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".") or "(file)"
    context = item.get("ctx", {})
    match item["type"]:
        case "extra_forbidden":
            meant = _meant(location)
            hint = f"; did you mean {meant!r}?" if meant else ""
            return f"{key}: unknown key{hint or '; known keys here: ' + ', '.join(_known_keys(location[:-1]))}"
        case "missing":
            return f"{key}: is missing; add it (clusters/local/cluster.yaml shows each key)"
        case "value_error":
            return f"{key}: {context['error']}"
        case "literal_error":
            return f"{key}: {item['input']!r} is not supported; use {context['expected']}"
        case "string_pattern_mismatch":
            return f"{key}: {item['input']!r} has the wrong form; it must match {context['pattern']}"
        case "model_type":
            return f"{key}: must be a mapping, not {item['input']!r}; its keys: {', '.join(_known_keys(location))}"
        case "too_short":
            return f"{key}: is empty; list at least one"
        case _:
            return f"{key}: {item['input']!r} cannot be used: {item['msg'][0].lower()}{item['msg'][1:]}"


def _known_keys(location: list[Any]) -> list[str]:
    model: Any = Cluster
    for part in location:
        field = next((f for f in model.model_fields.values() if f.alias == part), None)
        model = field.annotation if field else Cluster
    return [field.alias for field in model.model_fields.values()]


@dataclass(frozen=True)
class Paths:
    """Where this host keeps the platform's state (data and secrets) and its cache (only what can be made again)."""

    state: Path
    cache: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Paths":
        """Read ML_PLATFORM_STATE_DIR and ML_PLATFORM_CACHE_DIR. Raises SettingsError."""
        return cls(
            state=_directory(environment, "ML_PLATFORM_STATE_DIR", f"/var/lib/{PROJECT}"),
            cache=_directory(environment, "ML_PLATFORM_CACHE_DIR", f"/var/cache/{PROJECT}"),
        )

    @property
    def bin(self) -> Path:
        return self.cache / "bin"

    @property
    def tools(self) -> Path:
        return self.cache / "tools"

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubernetes" / "admin.conf"

    @property
    def pulumi(self) -> Path:
        """The file backend of Pulumi's state."""
        return self.state / "pulumi"

    @property
    def argocd_context(self) -> Path:
        """A kubeconfig that puts a context in Argo CD's namespace before the cluster's own."""
        return self.state / "argocd" / "context.conf"

    @property
    def aws_config(self) -> Path:
        return self.state / "aws" / "config"

    @property
    def aws_credentials(self) -> Path:
        return self.state / "aws" / "credentials"

    def secret(self, name: str) -> str:
        """The value of one generated secret. Raises SettingsError when it is not there or empty."""
        path = self.secrets / name
        try:
            value = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read ({error.strerror}); scripts/up generates it") from None
        if not value:
            raise SettingsError(f"{path}: is empty; remove it and run scripts/up, which generates it")
        return value


def _directory(environment: Mapping[str, str], variable: str, default: str) -> Path:
    value = environment.get(variable) or default
    path = Path(value)
    if not path.is_absolute() or path == Path("/"):
        raise SettingsError(f"{variable}: {value!r} is not an absolute directory below /; set it to one, or unset it")
    return path
