"""Settings as they are shown: secrets hidden, and variables that name none."""

from __future__ import annotations

import os

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


def unknown_variables() -> list[str]:
    """WAYBILL_ variables that name no setting: probably misspelt. Not an error, as Kubernetes adds its own."""
    known = {f"{ENV_PREFIX}{field.upper()}" for field in Settings.model_fields} | {CONFIG_ENV, "WAYBILL_DEBUG"}
    return sorted(name for name in os.environ if name.upper().startswith(ENV_PREFIX) and name.upper() not in known)
