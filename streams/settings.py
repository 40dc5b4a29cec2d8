"""Settings: one frozen typed object, read from options, environment, a file and defaults, in that order.

`load()` is the way in for programs; `Settings(...)` alone reads the environment but no file, which suits tests.
Every field's description says what it is, in which unit; `waybill settings` prints them as the reference.

Environment: `WAYBILL_<FIELD>`; lists as comma-separated strings (`WAYBILL_HOME_ADCODES=430421,440111`), tables as
JSON (`WAYBILL_KAFKA='{"security.protocol": "SSL"}'`). `KAFKA_BOOTSTRAP_SERVERS` is read too. An empty variable counts
as not set. File: TOML named by `--config` or `WAYBILL_CONFIG`, else `waybill.toml` in the current directory if present.
Tables (`kafka`, `rule_overrides`) are merged key by key across these sources; any other value replaces the lower one.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from platformdirs import user_state_path
from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError

from schemas.errors import WaybillError
from streams.native import Switch
from streams.settings_files import in_file, secret
from streams.settings_forms import ADCODE, COUNTRY, GROUP, KAFKA_RESERVED, NAME, WANTED, home, servers, split, word

ENV_PREFIX = "WAYBILL_"
CONFIG_ENV = "WAYBILL_CONFIG"
CONFIG_DEFAULT = Path("waybill.toml")

# The 16 places of the priority-origin notice, as GB/T 2260 prefixes: cities by four digits, Xiqing district by six.
PRIORITY_ORIGINS = (
    "5101", "4401", "4413", "4502", "4501", "3508", "3306", "4201",
    "120111", "5305", "5331", "5301", "5309", "5326", "5308", "5328",
)  # fmt: skip
PRIORITY_COUNTRIES = ("AU", "MX", "US", "CA", "NZ")


class SettingsError(WaybillError):
    """A setting that cannot be used. The message is one line and names the field and where its value came from."""

    exit_code = 2


AdcodePrefix = Annotated[str, StringConstraints(pattern=ADCODE)]
Country = Annotated[str, StringConstraints(pattern=COUNTRY)]
Name = Annotated[str, StringConstraints(pattern=NAME)]
AdcodePrefixes = Annotated[tuple[AdcodePrefix, ...], NoDecode, BeforeValidator(split)]
Countries = Annotated[tuple[Country, ...], NoDecode, BeforeValidator(split)]
KafkaProperty = str | int | float | bool
HomePath = Annotated[Path, BeforeValidator(home)]

_file: ContextVar[Path | None] = ContextVar("settings_file", default=None)


class Settings(BaseSettings):
    """Everything a deployment may set. Field docs are the reference; sizes and times carry their unit in the name."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", validate_default=True
    )

    # Broker and group
    bootstrap_servers: Annotated[str | None, BeforeValidator(servers)] = Field(
        None, min_length=1, description="Kafka brokers, host:port by commas."
    )
    kafka: dict[str, KafkaProperty] = Field(
        default_factory=dict,
        repr=False,
        description="Further librdkafka properties for every client, such as security.protocol.",
    )
    kafka_files: dict[str, HomePath] = Field(
        default_factory=dict,
        description="Properties whose value is in a file, such as {sasl.password: /run/secrets/x}.",
    )
    partitions: int = Field(4, ge=1, le=4096, description="Partitions of each topic that is created (count).")
    replication: int = Field(1, ge=1, le=32, description="Replicas of each partition that is created (count).")
    group: Name = Field(GROUP, description="Group of the workers; all our groups and transactional ids begin so.")
    instance: Name = Field(
        "0",
        description="Name of this worker: static member id, and its folder of state; auto or NAME-auto: the "
        "lowest number that no other worker of this state_dir has.",
    )
    group_protocol: Literal["classic", "consumer"] = Field(
        "classic", description="Group membership: classic (range, static members), or consumer (KIP-848)."
    )
    session_timeout_ms: int = Field(
        10_000, ge=1_000, le=300_000, description="A worker silent for so long loses its partitions (milliseconds)."
    )
    transaction_timeout_ms: int = Field(
        15_000, ge=1_000, le=900_000, description="The broker aborts a transaction open for so long (milliseconds)."
    )

    # Judging
    home_adcodes: AdcodePrefixes = Field(
        (), description="Places of this deployment, GB/T 2260 codes or prefixes of 2, 4 or 6 digits."
    )
    emit_from: Literal["low", "medium", "high", "extreme"] = Field(
        "medium", description="Lowest tier for which an alert goes out: low, medium, high or extreme."
    )
    priority_origins: AdcodePrefixes = Field(PRIORITY_ORIGINS, description="Priority origins, GB/T 2260 prefixes.")
    priority_countries: Countries = Field(PRIORITY_COUNTRIES, description="Priority export lanes, ISO 3166-1 alpha-2.")
    rules_dir: HomePath | None = Field(None, description="Folder of rule files. Empty: the catalogue as shipped.")
    rules_from: Literal["topic", "files"] = Field(
        "topic", description="Rules in force: the newest set pushed, files while there is none (topic), or files alone."
    )
    rejudge: Literal["sweep", "next-event"] = Field(
        "sweep", description="After a push, judge what is kept again at once (sweep), or each parcel as events come."
    )
    rule_overrides: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Changed limits by rule, such as {identity.many_names: {names_90d_min: 4}}."
    )

    flood_share_max: float = Field(
        0.05,
        ge=0,
        le=1,
        description="A rule that opens alerts with a larger share of verdicts is held back; 0: none is.",
    )
    flood_window_rows: int = Field(5_000, ge=100, description="Verdicts over which that share is taken (rows).")

    # Bounds
    event_bytes_max: int = Field(65_536, ge=256, le=10_485_760, description="Longer records are rejected (bytes).")
    batch_rows_max: int = Field(20_000, ge=1, le=1_000_000, description="Most records of one batch (rows).")
    fetch_timeout_ms: int = Field(20, ge=1, le=10_000, description="Longest wait of a fetch (milliseconds).")
    epoch_ms_max: int = Field(200, ge=1, le=60_000, description="Longest time between commits (milliseconds).")
    fetch_queue_mb: int = Field(
        64, ge=1, le=2_047, description="Records fetched ahead, over all partitions, per worker (MiB)."
    )
    produce_queue_mb: int = Field(
        1_024, ge=64, le=2_047, description="Most that one commit may write to Kafka, per worker (MiB)."
    )
    observations_per_bucket_max: int = Field(
        1_024, ge=256, le=65_536, description="Newest observations kept per entity; beyond it counts are lower bounds."
    )

    kept_parcels_d: int = Field(
        4, ge=3, le=3_650, description="A parcel expires so long after its newest event (days of event time)."
    )
    kept_under_way_d: int = Field(
        14, ge=3, le=3_650, description="The same of one that was scanned, but not yet delivered or returned (days)."
    )
    kept_alerted_d: int = Field(90, ge=3, le=3_650, description="The same of one that has had an alert (days).")
    kept_observations_d: int = Field(
        90, ge=1, le=3_650, description="Observations are kept so long, and at least as their rules look back (days)."
    )
    expiry_delay_s: int = Field(
        3_600, ge=0, description="All of it is kept so much longer by the clock, for replays in any order (seconds)."
    )

    idle_partition_s: int = Field(
        900, ge=1, description="In a partition that brings nothing for so long, time passes by the clock (seconds)."
    )

    settle_s: float = Field(
        2.0, ge=0, le=600, description="What is sent within so long is read before anything is found missing (seconds)."
    )

    tally_every_s: float = Field(
        60.0, ge=0, description="A tally that has changed is published so often at most; 0: none are kept (seconds)."
    )

    # State
    state_dir: HomePath = Field(
        default_factory=lambda: user_state_path("waybill-sentinel", appauthor=False),
        description="Folder of local state; may be lost, the changelog restores it.",
    )
    desk_store_url: SecretStr | None = Field(None, description="Of the desk, postgresql://USER@HOST/NAME; else SQLite.")
    desk_store_url_file: HomePath | None = Field(None, description="File with that address, if it has a password.")
    accept_lost_state: bool = Field(
        False, description="Start although a changelog is empty that should not be: what was counted so far is lost."
    )
    hot_bytes_max: int = Field(
        268_435_456, ge=1_048_576, description="Memory for the hot set in front of the store, per worker (bytes)."
    )
    state_cache_mb: int = Field(128, ge=8, description="Shared block cache of the store, per worker (MiB).")
    state_buffers_mb: int = Field(256, ge=8, description="Written state that is not yet in files, per worker (MiB).")

    # Keys and rejects
    token_key_file: HomePath | None = Field(None, description="File with the keys of published tokens.")
    token_state_key_file: HomePath | None = Field(None, description="File with the key of state tokens; never rotated.")
    token_key: SecretStr | None = Field(None, description="Keys of published tokens, instead of token_key_file.")
    token_state_key: SecretStr | None = Field(None, description="Key of state tokens, instead of token_state_key_file.")
    reject_raw: Literal["drop", "encrypt"] = Field(
        "drop", description="Raw bytes of rejected records: drop, or encrypt with reject_key_file."
    )
    reject_key_file: HomePath | None = Field(
        None, description="File with Fernet keys, one a line, for rejected records."
    )

    # Random arm
    order_share: float = Field(
        0.0, ge=0, le=1, description="Share of parcels that come to home places to be checked by chance; 0: none."
    )
    order_key_file: HomePath | None = Field(None, description="File with the key of that draw, as for state tokens.")
    order_key: SecretStr | None = Field(None, description="Key of that draw, instead of order_key_file.")

    # Operations
    web_host: str = Field("127.0.0.1", min_length=1, description="Address of /metrics, /live and /ready.")
    web_port: int = Field(6066, ge=0, le=65_535, description="Port of /metrics, /live and /ready; 0 = any free one.")
    stalled_ms_max: int = Field(
        60_000, ge=1_000, description="/live fails when records wait so long with nothing committed (milliseconds)."
    )
    give_up_after_ms: int = Field(
        300_000, ge=1_000, description="A worker, or its supervisor, that gets nowhere for so long ends (milliseconds)."
    )
    native: Annotated[Switch, BeforeValidator(word)] = Field(
        "auto", description="Native front end: auto (used where it was built), 1 (must be used), or 0 (is not used)."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="One line of text for each message of the log, or one JSON object (json)."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(word)] = Field(
        "info", description="Least severity that is logged: debug, info, warning or error."
    )

    otel_share: float = Field(0.0, ge=0, le=1, description="Share of events traced for OpenTelemetry; 0: none.")

    @property
    def stop_s(self) -> float:
        """The longest that a worker takes to stop (seconds): a commit gives up sooner, and then it exits by itself."""
        return 5 * self.transaction_timeout_ms / 1000

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Properties of Kafka that are in files, as if they had been given."""
        files, kafka = given.get("kafka_files") or {}, given.get("kafka") or {}
        if not (isinstance(files, dict) and isinstance(kafka, dict) and files):
            return given
        return {**given, "kafka": {**kafka, **{name: secret(name, Path(path)) for name, path in files.items()}}}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        reserved = sorted(KAFKA_RESERVED & self.kafka.keys())
        if reserved:
            raise ValueError(f"kafka: {', '.join(reserved)} follows from other settings and cannot be given here")
        if self.epoch_ms_max >= self.transaction_timeout_ms:
            raise ValueError("epoch_ms_max: must be less than transaction_timeout_ms")
        if self.give_up_after_ms <= self.stalled_ms_max:
            raise ValueError("give_up_after_ms: must be more than stalled_ms_max, so that /live says so before")
        if self.reject_raw == "encrypt" and self.reject_key_file is None:
            raise ValueError("reject_key_file: needed when reject_raw is encrypt")
        if self.order_share and self.order_key is None and self.order_key_file is None:
            raise ValueError("order_key_file: needed when order_share is not 0; `waybill orders key` writes one")
        if self.order_share and not self.home_adcodes:
            raise ValueError("home_adcodes: needed when order_share is not 0, as parcels are drawn where they come to")
        for field in ("token_key", "token_state_key", "order_key", "desk_store_url"):
            if getattr(self, field) is not None and getattr(self, f"{field}_file") is not None:
                raise ValueError(f"{field}: give either {field} or {field}_file")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Sources, strongest first; see the module's docstring."""
        servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        kafka = InitSettingsSource(settings_cls, {"bootstrap_servers": servers} if servers else {})
        return init_settings, env_settings, kafka, InitSettingsSource(settings_cls, in_file(_file.get()))


def load(config: Path | None = None, options: Mapping[str, Any] | None = None) -> Settings:
    """Settings from `options` (None values do not count), environment, file and defaults.

    Raises SettingsError, one line, for an unknown name, a wrong value, or a file that cannot be read.
    """
    path = config_file(config)
    token = _file.set(path)
    given = {name: value for name, value in (options or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_one_line(error, given, path)) from None
    except SourceError as error:
        raise SettingsError(f"{_variable_of(error)}: not valid JSON") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    finally:
        _file.reset(token)


def config_file(config: Path | None = None) -> Path | None:
    """The file that applies: the one given, else WAYBILL_CONFIG, else ./waybill.toml if present; None = no file."""
    named = config or (Path(os.environ[CONFIG_ENV]) if os.environ.get(CONFIG_ENV) else None)
    if named is not None and not named.is_file():
        raise SettingsError(f"config: no such file: {named}")
    return named or (CONFIG_DEFAULT if CONFIG_DEFAULT.is_file() else None)


def origin(field: str, options: Mapping[str, Any], config: Path | None) -> str:
    """Where the value of `field` comes from: option, the name of an environment variable or file, or default.

    `config` is the file that applies, as `config_file` returns it.
    """
    if options.get(field) is not None:
        return "option"
    # Names of environment variables are matched without regard to case, as pydantic-settings does.
    variables = {name.upper() for name, value in os.environ.items() if value}
    candidates = [f"{ENV_PREFIX}{field.upper()}"]
    if field == "bootstrap_servers":
        candidates.append("KAFKA_BOOTSTRAP_SERVERS")
    for name in candidates:
        if name in variables:
            return name
    if config is not None and field in in_file(config):
        return str(config)
    return "default"


def _variable_of(error: SourceError) -> str:
    """The variable that pydantic-settings could not read; it names the field."""
    field = re.search(r'field "(\w+)"', str(error))
    return f"{field[1]}: {ENV_PREFIX}{field[1].upper()}" if field else str(error).splitlines()[0]


def _one_line(error: ValidationError, given: Mapping[str, Any], path: Path | None) -> str:
    parts = []
    for problem in error.errors(include_input=False, include_url=False):
        where, said = ".".join(str(step) for step in problem["loc"]), problem["msg"].removeprefix("Value error, ")
        if not where:  # a check across fields: its message starts with the field's name
            parts.append(said)
            continue
        field = str(problem["loc"][0])
        if problem["type"] == "extra_forbidden":
            parts.append(f"{field}: no such setting (from {origin(field, given, path)})")
        elif (wanted := WANTED.get(problem.get("ctx", {}).get("pattern", ""))) is not None:
            parts.append(f"{where} {wanted} (from {origin(field, given, path)})")
        else:
            parts.append(f"{where}: {said} (from {origin(field, given, path)})")
    return "; ".join(dict.fromkeys(parts))
