"""Settings: precedence, forms of lists and tables, errors of one line, secrets hidden."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.settings import Settings, SettingsError, config_file, load, origin
from streams.settings_shown import shown, unknown_variables

pytestmark = pytest.mark.usefixtures("clean")


def test_every_field_is_documented() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_defaults_are_valid_and_hold_what_the_catalogue_expects() -> None:
    settings = load()
    assert settings.bootstrap_servers is None
    assert len(settings.priority_origins) == 16
    assert "120111" in settings.priority_origins
    assert settings.priority_countries == ("AU", "MX", "US", "CA", "NZ")
    assert settings.state_dir.name == "waybill-sentinel"
    assert settings.web_host == "127.0.0.1"


def test_option_beats_environment_beats_file_beats_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "waybill.toml").write_text("partitions = 7\nreplication = 3\ngroup = 'file'\n")
    monkeypatch.setenv("WAYBILL_PARTITIONS", "8")
    monkeypatch.setenv("WAYBILL_GROUP", "env")
    options = {"group": "option", "instance": None}
    settings = load(options=options)
    assert (settings.partitions, settings.replication, settings.group, settings.instance) == (8, 3, "option", "0")
    file = config_file()
    assert [origin(f, options, file) for f in ("group", "partitions", "replication", "instance")] == [
        "option", "WAYBILL_PARTITIONS", "waybill.toml", "default",
    ]  # fmt: skip


def test_lists_and_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('priority_countries = ["AU"]\n[kafka]\n"a.b" = 1\n[rule_overrides."x.y"]\nn_min = 3\n')
    monkeypatch.setenv("WAYBILL_CONFIG", str(file))
    monkeypatch.setenv("WAYBILL_HOME_ADCODES", "430421, 440111")
    monkeypatch.setenv("WAYBILL_KAFKA", '{"security.protocol": "SSL"}')
    settings = load(options={"priority_origins": "51,4401"})
    assert settings.home_adcodes == ("430421", "440111")
    assert settings.priority_countries == ("AU",)
    assert settings.priority_origins == ("51", "4401")
    assert settings.kafka == {"a.b": 1, "security.protocol": "SSL"}
    assert settings.rule_overrides == {"x.y": {"n_min": 3}}


def test_kafkas_properties_need_no_quotes_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "waybill.toml").write_text(
        '[kafka]\nsecurity.protocol = "SSL"\nssl.ca.location = "ca"\n"ssl.key.password" = "p"\n'
    )
    assert load(options={"kafka": {"client.rack": "r1"}}).kafka == {
        "security.protocol": "SSL", "ssl.ca.location": "ca", "ssl.key.password": "p", "client.rack": "r1",
    }  # fmt: skip
    assert load(options={"kafka": {"security.protocol": "PLAINTEXT"}}).kafka["security.protocol"] == "PLAINTEXT"
    (tmp_path / "waybill.toml").write_text("[kafka]\ngroup.id = 'x'\n")
    with pytest.raises(SettingsError, match=r"group\.id follows from other settings"):
        load()


def test_the_home_folder_is_known_where_no_shell_has_looked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WAYBILL_STATE_DIR", "~/state")
    (tmp_path / "waybill.toml").write_text("rules_dir = '~/rules'\n")
    settings = load(options={"token_key_file": Path("~/key")})
    assert settings.state_dir == tmp_path / "state"
    assert settings.rules_dir == tmp_path / "rules"
    assert settings.token_key_file == tmp_path / "key"


def test_kafkas_own_variable_is_read_below_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "waybill.toml").write_text("bootstrap_servers = 'file:1'\n")
    assert load().bootstrap_servers == "file:1"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:2")
    assert load().bootstrap_servers == "kafka:2"
    assert origin("bootstrap_servers", {}, config_file()) == "KAFKA_BOOTSTRAP_SERVERS"
    monkeypatch.setenv("WAYBILL_BOOTSTRAP_SERVERS", "ours:3")
    assert load().bootstrap_servers == "ours:3"
    assert load(options={"bootstrap_servers": "option:4"}).bootstrap_servers == "option:4"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PARTITIONS", "none", "partitions: Input should be a valid integer"),
        ("PARTITIONS", "0", "partitions: Input should be greater than or equal to 1"),
        ("HOME_ADCODES", "43042", "home_adcodes.0 is no GB/T 2260 prefix of 2, 4 or 6 digits"),
        ("PRIORITY_COUNTRIES", "AU,usa", "priority_countries.1 is no country in two capital letters"),
        ("EMIT_FROM", "none", "emit_from: Input should be 'low', 'medium', 'high' or 'extreme'"),
        ("KAFKA", "{", "kafka: WAYBILL_KAFKA: not valid JSON"),
        ("KAFKA", '{"group.id": "x"}', "kafka: group.id follows from other settings"),
        ("REJECT_RAW", "encrypt", "reject_key_file: needed"),
        ("TRANSACTION_TIMEOUT_MS", "5", "transaction_timeout_ms: "),
        ("EPOCH_MS_MAX", "60000", "epoch_ms_max: must be less than transaction_timeout_ms"),
        ("SESSION_TIMEOUT_MS", "300001", "session_timeout_ms: Input should be less than"),  # max.poll.interval.ms
        ("INSTANCE", "../up", "instance may have letters, digits"),
    ],
)
def test_a_wrong_value_is_one_line_with_field_and_source(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"WAYBILL_{variable}", value)
    with pytest.raises(SettingsError) as raised:
        load()
    text = str(raised.value)
    assert message in text
    assert "\n" not in text
    assert variable.lower() in text or "reject_key_file" in text


@pytest.mark.parametrize(
    ("given", "servers"),
    [
        ("kafka://a:9092", "a:9092"),
        ("kafka://a:9092/, kafka://b", "a:9092,b"),
        ("SASL_SSL://a:9093,b:9093", "SASL_SSL://a:9093,b:9093"),
        ("KAFKA://a:9092", "a:9092"),
        ("\ufeffa:9092, \u200bb-1.example.org.:9092,", "a:9092,b-1.example.org.:9092"),
        ("[::1]:9092,10.0.0.1", "[::1]:9092,10.0.0.1"),
    ],
)
def test_addresses_of_brokers_may_have_a_scheme_that_is_kafkas(given: str, servers: str) -> None:
    assert load(options={"bootstrap_servers": given}).bootstrap_servers == servers


@pytest.mark.parametrize("given", ["http://a:9092", "a:9092,https://b", "zookeeper://a:2181"])
def test_another_scheme_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^bootstrap_servers: [a-z]+:// is not the address of a Kafka broker"):
        load(options={"bootstrap_servers": given})


@pytest.mark.parametrize(
    "given",
    [
        "a:9092;b:9092", "a:9092 b:9092", "a:9092/topic", "::1:9092", "a:0", "a:99999", "a:kafka", "'a:9092'", "a:",
        "-", "b:9092,:9092", "kafka://user:secret@a:9092", "SASL_SSL://user:secret@a:9092",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^bootstrap_servers: address [12] (is not host:port|holds a login)"
    ) as said:
        load(options={"bootstrap_servers": given})
    assert "secret" not in str(said.value)


def test_an_unknown_name_is_refused_in_file_and_options(tmp_path: Path) -> None:
    (tmp_path / "waybill.toml").write_text("partition = 7\n")
    with pytest.raises(SettingsError, match=r"^partition: no such setting \(from waybill.toml\)$"):
        load()
    (tmp_path / "waybill.toml").unlink()
    with pytest.raises(SettingsError, match=r"^nothing: no such setting \(from option\)$"):
        load(options={"nothing": 1})


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^config: no such file: .*missing.toml$"):
        load(tmp_path / "missing.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("partitions = \n")
    with pytest.raises(SettingsError, match=r"^\S*broken.toml: not valid TOML: "):
        load(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(broken)


def test_secrets_stay_out_of_text_and_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_TOKEN_KEY", "hush-hush")
    monkeypatch.setenv(
        "WAYBILL_KAFKA", '{"sasl.password": "hush-hush", "sasl.username": "bob", "a.passphrase": "hush"}'
    )
    settings = load()
    assert settings.token_key is not None
    assert settings.token_key.get_secret_value() == "hush-hush"
    text = repr(settings.token_key) + "".join(shown(settings, f) for f in Settings.model_fields)
    assert "hush" not in text
    assert "bob" in text
    monkeypatch.setenv("WAYBILL_TOKEN_KEY_FILE", "key")
    with pytest.raises(SettingsError, match="token_key: give either") as raised:
        load()
    assert "hush" not in str(raised.value)


def test_misspelt_variables_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_HOME_ADCODE", "430421")
    monkeypatch.setenv("WAYBILL_CONFIG", "")
    assert unknown_variables() == ["WAYBILL_HOME_ADCODE"]


def test_settings_are_frozen() -> None:
    settings = load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.partitions = 3  # type: ignore[misc]  # refused by the type, and at run time
