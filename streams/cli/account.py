"""Under which account the command line acts. `--as` says who acts, and nobody checks it; the account is what is known.

It is the principal by which the broker knows the client, else the user of the machine. Two persons who look at the same
find must not be one who types two names: so who answers and who confirms need an account each.
"""

from __future__ import annotations

import getpass
import os
import socket
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from schemas.errors import WaybillError

if TYPE_CHECKING:
    from desk.clues.clue import Clue
    from streams.settings import Settings


class SameAccountError(WaybillError):
    """A second person acts under the account of the first."""


def account_of(settings: Settings) -> str:
    """The account as the log has it: a hash, as the name of a user may be a person's."""
    from streams.ops import preflight

    client = preflight.client(settings)
    names = ("sasl.username", "sasl.oauthbearer.client.id", "ssl.certificate.location", "ssl.key.location")
    principal = next((client[name] for name in names if client.get(name)), None)
    named = f"principal {principal}" if principal else f"user {_user()} at {socket.gethostname()}"
    return sha256(named.encode()).hexdigest()[:16]


def first_account(verb: Any, clue: Clue) -> str | None:
    """The account of the first person, where a verb is for a second one; None: it is not, or the account is unknown."""
    from desk import verbs

    if isinstance(verb, verbs.Confirm | verbs.Dispute):
        return None if clue.answer is None else clue.answer.account
    if isinstance(verb, verbs.Second):
        return None if clue.hold is None else clue.hold.wanted_account
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return str(os.getuid())
