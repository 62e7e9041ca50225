"""What looks like a secret, by its name or its form, in texts that an image would carry."""

from __future__ import annotations

import re

_NAME = re.compile(
    r"(?:^|[_.-])(?:pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|access_?key|private_?key|credentials?|"
    r"auth_?key|client_?secret|encryption_?key|signing_?key)(?:$|[_.-])",
    re.IGNORECASE,
)
_HARMLESS_NAME = re.compile(
    r"(?:^|[_.-])(?:file|path|dir|url|length|size|ttl|policy|type|id|name|min|max)$", re.IGNORECASE
)
_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b")),
    ("a GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}\b")),
    ("a Slack token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}\b")),
    ("a Google API key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("an npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b|//[^\s:]+/:_authToken=[^\s$]+")),
    ("a PyPI token", re.compile(r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}")),
    ("a Stripe key", re.compile(r"\b[sr]k_live_[0-9a-zA-Z]{20,}\b")),
    ("a JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
    ("a password in an address", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@$\"'{}]+:[^\s/:@$\"'{}]+@")),
)
_FILES = re.compile(
    r"(?:^|/)(?:\.env(?:\.(?!example|sample|template|dist)[\w.-]+)?|\.npmrc|\.pypirc|\.netrc|_netrc|\.git-credentials|\.htpasswd|"
    r"\.pgpass|id_(?:rsa|dsa|ecdsa|ed25519)|.*\.(?:p12|pfx|jks|keystore|kdbx)|.*(?:^|[/._-])(?:priv(?:ate)?)[._-]?key.*|.*\.key|"
    r"\.aws/credentials|\.docker/config\.json|\.kube/config|credentials\.json|service[-_]account.*\.json|terraform\.tfstate)$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret, as DB_PASSWORD; PASSWORD_FILE only leads to one."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return _NAME.search(spaced) is not None and not _HARMLESS_NAME.search(spaced)


def secret_form(text: str) -> str:
    """What in ``text`` is a secret by its form, as "a private key"; "" where nothing is."""
    return next((words for words, form in _FORMS if form.search(text)), "")


def is_secret_file(path: str) -> bool:
    """Whether a file of this name usually holds secrets, as .env or id_rsa."""
    return _FILES.search(path) is not None
