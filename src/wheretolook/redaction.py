"""Secrets in addresses: they must not reach a terminal, a log, a report or the page."""

import re
from typing import Any

HIDDEN = "***"
# `user:password@`; a path object has made one slash of two.
_USER = re.compile(r"(\b[a-z][a-z0-9+.-]+:/{1,2})[^/\s]*@", re.IGNORECASE)
# Of Drive's links, `resourcekey` belongs to the address.
_WORDS = r"user|login|pass|pwd|secret|token|auth|credential|sig|session|jwt|policy|(?<!resource)key|googleaccessid"
_QUERY = re.compile(rf"([?&#;][^=&?#;\s]*(?:{_WORDS})[^=&?#;\s]*=)[^&#;\s\"'`<>]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """A text whose addresses name no user and hold no password, signature, token or key.

    Args:
        text: anything, such as a message that quotes a URL.

    Returns:
        The text with `***` for each secret: `https://***@host/file?X-Amz-Signature=***&part=2`.
    """
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def redacted_values(value: Any) -> Any:
    """Lists and mappings, as of params.yaml, with `redacted` text in them."""
    if isinstance(value, dict):
        return {key: redacted_values(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [redacted_values(inner) for inner in value]
    return redacted(value) if isinstance(value, str) else value
