"""What is taken out of logs, and what is not."""

import base64

from runner_controller.masking import Masker, secret_values


def test_values_are_masked_plain_and_encoded() -> None:
    secret = "s3cret/with+signs"
    mask = Masker([secret])
    assert mask(f"a {secret} b {secret}") == "a *** b ***"
    assert mask(base64.b64encode(secret.encode()).decode()) == "***"
    assert mask("https://x?y=s3cret%2Fwith%2Bsigns") == "https://x?y=***"


def test_longer_secret_wins_over_the_one_inside_it() -> None:
    assert Masker(["secret", "secret-and-more"])("secret-and-more") == "***"


def test_each_line_of_a_secret_is_masked() -> None:
    assert Masker(["-----BEGIN\nabcdefgh\n"])("x abcdefgh") == "x ***"


def test_short_and_empty_values_leave_the_log_readable() -> None:
    assert Masker(["", "dvc", "  "])("dvc pull") == "dvc pull"
    assert Masker([])("text") == "text"


def test_only_telling_keys_and_passwords_in_urls_are_secret() -> None:
    data = {
        "AWS_ACCESS_KEY_ID": "release",
        "AWS_SECRET_ACCESS_KEY": "abc",
        "REGISTRY_USERNAME": "platform",
        "REGISTRY_PASSWORD": "def",
        "token": "ghi",
        "INDEX": "https://user:jkl@example.org/simple",
        "BROKEN": "http://[",
    }
    assert sorted(secret_values(data)) == ["abc", "def", "ghi", "jkl", "user:jkl"]


def test_s27_credentials_in_addresses_are_masked_and_nothing_else_of_them() -> None:
    data = {
        "HTTPS_PROXY": "http://robot:p%40ss-word@proxy.example:3128",
        "UV_EXTRA_INDEX_URL": "https://a:x@one.example/simple https://tok3n-alone@two.example/simple",
        "UV_INDEX": "corp=https://name:other-secret@three.example/simple",
        "GOPROXY": "https://go:go-secret@go.example|direct,https://proxy.example",
        "NO_PROXY": "localhost,10.0.0.1",
        "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt",
        "NPM_CONFIG_REGISTRY": "https://npm.example/@scope/",
    }
    mask = Masker(secret_values(data))
    shown = {key: mask(value) for key, value in data.items()}
    assert shown == {
        **data,
        "HTTPS_PROXY": "http://***@proxy.example:3128",
        "UV_EXTRA_INDEX_URL": "https://a:x@one.example/simple https://***@two.example/simple",
        "UV_INDEX": "corp=https://***@three.example/simple",
        "GOPROXY": "https://***@go.example|direct,https://proxy.example",
    }
    assert mask("sent p@ss-word as robot to proxy.example, by http") == "sent *** as robot to proxy.example, by http"
    assert mask(base64.b64encode(b"robot:p@ss-word").decode()) == "***"
