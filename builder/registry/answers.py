"""What registries answer: statuses, and the errors that they explain (distribution-spec, "Error Codes")."""

from __future__ import annotations

import json

from builder.transport import Answer

OK, CREATED, ACCEPTED, NO_CONTENT = 200, 201, 202, 204
UNAUTHORISED, FORBIDDEN, NOT_FOUND, TOO_LARGE = 401, 403, 404, 413
MAX_ERROR = 1 << 16
_MOST_TOLD = 300


def said(answer: Answer) -> str:
    """What the registry says of an error, as " (CODE: message)"; "" when it says nothing that can be read."""
    try:
        errors = json.loads(answer.body)["errors"]
        told = [f"{error.get('code', '')}: {error.get('message', '')}".strip(" :") for error in errors]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""
    text = "; ".join(dict.fromkeys(one for one in told if one))
    text = "".join(letter if letter.isprintable() else " " for letter in text)[:_MOST_TOLD]
    return f" ({text})" if text else ""
