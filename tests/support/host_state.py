"""A state directory as Ansible and the image build leave it, with values that are easy to find again."""

import json
from pathlib import Path

SECRETS = (
    "argocd-admin-password",
    "argocd-other-webhooks-secret",
    "forge-argocd-token",
    "forge-bot-token",
    "forge-bot-webhook-secret",
    "forge-internal-token",
    "forge-merge-token",
    "forge-proposer-token",
    "forge-runner-registration-token",
    "forge-webhook-secret",
    "pulumi-passphrase",
    "registry-password",
    "s3-data-secret-key",
    "s3-dvc-secret-key",
    "s3-evaluate-secret-key",
    "s3-janitor-secret-key",
    "s3-judge-secret-key",
    "s3-pulumi-secret-key",
    "s3-release-secret-key",
    "s3-runs-secret-key",
    "s3-test-set-secret-key",
)
IMAGES = {
    name: f"sha256:{digit * 64}"
    for name, digit in (("python", "1"), ("runner-controller", "2"), ("runner-job", "3"), ("bot", "4"))
}


def secret(name: str) -> str:
    """The value of a generated secret."""
    return f"{name}-0123456789abcdef"


def write(state: Path) -> None:
    """Lay the files down under `state`."""
    for folder in ("secrets", "host", "kubernetes"):
        (state / folder).mkdir(parents=True)
    for name in SECRETS:
        (state / "secrets" / name).write_text(secret(name) + "\n")
    (state / "host" / "environment").write_text("# as Ansible writes it\nUV_INDEX_URL=http://127.0.0.1/simple\n")
    (state / "host" / "egress.json").write_text('{"internet": true, "places": {}}')
    (state / "host" / "ca-certificates.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    (state / "images.json").write_text(json.dumps(IMAGES))
