"""What a running portal announces: the ready file for programs, the panel for people."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portal.core.embedded.folder import write_private
from portal.core.errors import PortalError

LOGINS = {"developer": "developer", "other_developer": "other developer", "staff": "staff"}


def write_ready_file(path: Path, document: Mapping[str, Any]) -> None:
    """Write the file with mode 0600 and whole by rename, so that whoever waits for it never reads half.

    Raises PortalError.
    """
    try:
        write_private(path, json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise PortalError(
            f"The ready file {path} cannot be written: {error.strerror}.", hint="Name another file with --ready-file."
        ) from None


def remove_ready_file(path: Path) -> None:
    """Remove the file: the portal no longer answers. Idempotent."""
    path.unlink(missing_ok=True)


def panel(document: Mapping[str, Any]) -> str:
    """Return what is printed once the portal answers, without a frame, so that each line can be copied."""
    lines = ["", f"  Portal   {document['url']}"]
    if "logins" in document:
        lines += [*_logins(document["logins"]), *_gateway(document)]
    else:
        lines.append(f"  Sign up  {document['url']}/sign-up")
    return "\n".join([*lines, "", "  Ctrl-C stops everything. Data is kept.", ""])


def curl_line(url: str, service_token: str, key: str) -> str:
    """Return a check that works when it is pasted into a shell."""
    body = json.dumps({"key": key})
    headers = (f"Authorization: Bearer {service_token}", "Content-Type: application/json")
    return " ".join(["curl", f"{url}/check", *(f"-H {shlex.quote(header)}" for header in headers), "-d", f"'{body}'"])


def _logins(logins: Mapping[str, Mapping[str, str]]) -> list[str]:
    shown = [(label, logins[name]) for name, label in LOGINS.items()]
    width = max(len(login["email"]) for _, login in shown)
    return [
        "",
        *(f"  Sign in  {login['email']:<{width}}  {login['password']}  ({label})" for label, login in shown),
        f"  GraphQL  Authorization: Bearer {logins['developer']['token']}",
    ]


def _gateway(document: Mapping[str, Any]) -> list[str]:
    token, keys = document["service_token"], document["keys"]
    return [
        "",
        f"  Gateway  service token {token}",
        *(f"  Key      {key}  ({plan})" for plan, key in keys.items()),
        "",
        "  Ask for a check:",
        f"  {curl_line(document['url'], token, keys['pro'])}",
        "",
        f"  Send real traffic: portal demo traffic --url {document['url']}",
    ]
