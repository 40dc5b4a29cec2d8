"""Settings as they are shown: secrets hidden, and variables that name none."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from streams.settings import CONFIG_ENV, ENV_PREFIX, Settings

SECRET_WORDS = ("password", "passphrase", "secret", "key.pem", "sasl.jaas", "oauthbearer.config", "oauthbearer.client")


def shown(settings: Settings, field: str) -> str:
    """The value of `field` as text that is safe to print: secrets, also those among Kafka's properties, are hidden."""
    value = getattr(settings, field)
    if field == "kafka":
        value = {k: "***" if any(word in k for word in SECRET_WORDS) else v for k, v in value.items()}
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None or value == {} else str(value)


def variables(settings: Settings, assignments: Sequence[str]) -> dict[str, str]:
    """Environment variables that give a child process what was given by `--set`: a command line is for all to see."""
    found = {}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        field, dot, _ = name.partition(".")
        value = getattr(settings, field)
        if dot or isinstance(value, dict):  # a table, which is whole by now
            text = json.dumps({key: str(each) if isinstance(each, Path) else each for key, each in value.items()})
        found[f"{ENV_PREFIX}{field.upper()}"] = text
    return found


def unknown_variables() -> list[str]:
    """WAYBILL_ variables that name no setting: probably misspelt. Not an error, as Kubernetes adds its own."""
    known = {f"{ENV_PREFIX}{field.upper()}" for field in Settings.model_fields} | {CONFIG_ENV}
    return sorted(name for name in os.environ if name.upper().startswith(ENV_PREFIX) and name.upper() not in known)
