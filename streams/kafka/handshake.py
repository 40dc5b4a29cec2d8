"""Why a client and a listener do not come together: what librdkafka said, and what a connection of our own finds.

librdkafka tells a certificate for another host from one of another CA no more than a TLS listener from one that is
down. This is asked only where a broker did not answer, so that the message can say what to set.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaError

from streams.kafka.errors import ClientError

_CONNECT_S = 3.0
_HOST_MISMATCH = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_EXPIRED = {9, 10}
_LOGIN = "the listener asks for a login: set kafka.security.protocol to {}, kafka.sasl.mechanism, username and password"
# Metadata of no topic, version 4: every Kafka answers it, but before a login closes the connection.
_ASK = struct.pack(">ihhihi?", 15, 3, 4, 1, 0, 0, False)


def check(config: Mapping[str, object]) -> None:
    """What librdkafka does not say, or not by name: files that are not there, tokens that nobody fetches.

    Raises ClientError.
    """
    by_token = str(config.get("sasl.mechanism", config.get("sasl.mechanisms", ""))).upper() == "OAUTHBEARER"
    unsigned = str(config.get("enable.sasl.oauthbearer.unsecure.jwt", "false")).lower() == "true"
    if by_token and not unsigned and str(config.get("sasl.oauthbearer.method", "default")).lower() != "oidc":
        raise ClientError(
            "kafka.sasl.oauthbearer.method: set it to oidc, and kafka.sasl.oauthbearer.token.endpoint.url, client.id "
            "and client.secret, or no token is fetched"
        )
    for name, value in config.items():
        if (
            re.fullmatch(r"ssl\..*location|https\.ca\.location|sasl\.kerberos\.keytab", name)
            and value
            and value != "probe"
        ):
            try:
                if not Path(str(value)).is_dir():
                    Path(str(value)).open("rb").close()
            except OSError as error:
                raise ClientError(f"kafka.{name}: {value}: {error.strerror}; check the path") from error


def reason(config: Mapping[str, object], trouble: KafkaError | None) -> str:
    """Why these properties do not lead to a broker, by the last trouble or by a look of our own; empty if unknown."""
    text = "" if trouble is None else str(trouble.str())
    if trouble is not None and trouble.code() == KafkaError._AUTHENTICATION:
        return _refused_login(config, text)
    return _refused_certificate(config, text) or _diagnosis(config)


def _refused_login(config: Mapping[str, object], text: str) -> str:
    mechanism = str(config.get("sasl.mechanism", config.get("sasl.mechanisms", "")))
    if others := re.search(r"supported mechanisms: ([A-Z0-9,-]+)", text):
        return f"the listener does not take kafka.sasl.mechanism {mechanism}: set it to {others[1]}"
    if "acquire SASL OAUTHBEARER token" not in text:
        if mechanism.upper() == "OAUTHBEARER":
            return (
                "the broker does not accept the token of kafka.sasl.oauthbearer.token.endpoint.url: its issuer, "
                "audience or key is another than the listener expects, or it is over"
            )
        return "the broker does not accept kafka.sasl.username and kafka.sasl.password"
    if "unexpired" in text:
        return "kafka.sasl.oauthbearer.token.endpoint.url gives tokens that are over: set this machine's clock, or its"
    if re.search("connect|resolve|timed out", text, re.IGNORECASE):
        return "no token: nobody answers at kafka.sasl.oauthbearer.token.endpoint.url"
    return (
        "no token: kafka.sasl.oauthbearer.token.endpoint.url does not accept kafka.sasl.oauthbearer.client.id and "
        "client.secret, or this scope"
    )


def _refused_certificate(config: Mapping[str, object], text: str) -> str:
    """What a TLS alert of the broker means."""
    alert = re.search("alert (certificate required|[a-z ]*(?:certificate|unknown ca)[a-z ]*)", text)
    if alert is None:
        return ""
    own = str(config.get("ssl.certificate.location", "") or config.get("ssl.keystore.location", ""))
    if not own or alert[1] == "certificate required":
        return (
            "the listener asks for a certificate of the client: set kafka.ssl.certificate.location and "
            "kafka.ssl.key.location"
        )
    return (
        f"the broker does not accept the certificate in {own} (kafka.ssl.certificate.location): it is not valid at "
        "this time, or not by a CA that the broker trusts"
    )


def _diagnosis(config: Mapping[str, object]) -> str:
    """What is wrong between these properties and the first listener that takes a connection; empty if unknown."""
    protocol = str(config.get("security.protocol", "plaintext")).upper()
    for server in str(config.get("bootstrap.servers", "")).split(","):
        match = re.fullmatch(r"(?:[A-Za-z_]+://)?\[?([^\]/]*?)\]?(?::(\d+))?", server.strip())
        if match is None:
            continue
        host, port = match[1], int(match[2] or 9092)
        try:
            return (
                _with_tls(config, protocol, host, port)
                if protocol.endswith("SSL")
                else _without_tls(protocol, host, port)
            )
        except OSError:  # of the connection itself, which librdkafka tells of
            continue
    return ""


def _with_tls(config: Mapping[str, object], protocol: str, host: str, port: int) -> str:
    ca = str(config.get("ssl.ca.location", "") or "")
    named = ca if ca and ca != "probe" else None
    folder = named if named and Path(named).is_dir() else None
    context = ssl.create_default_context(cafile=None if folder else named, capath=folder)
    context.check_hostname = str(config.get("ssl.endpoint.identification.algorithm", "https")) != "none"
    with socket.create_connection((host, port), _CONNECT_S) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=host) as within:
                return _LOGIN.format("SASL_SSL") if protocol == "SSL" and _wants_a_login(within) else ""
        except ssl.SSLCertVerificationError as error:
            if error.verify_code in _HOST_MISMATCH:
                return (
                    f"the broker's certificate is for another host name than {host}: connect by a name that is in the "
                    "certificate, also in the broker's advertised.listeners"
                )
            if error.verify_code in _EXPIRED:
                return "the broker's certificate is not valid at this time: renew it, or set this machine's clock"
            return (
                "the broker's certificate was not issued by a CA that this client trusts: set kafka.ssl.ca.location to "
                "the CA of the broker"
            )
        except (ssl.SSLError, OSError):
            return (
                "the listener does not speak TLS: name a port that does, or set kafka.security.protocol to PLAINTEXT "
                "or SASL_PLAINTEXT"
            )


def _without_tls(protocol: str, host: str, port: int) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, port), _CONNECT_S) as connection:
        try:
            context.wrap_socket(connection, server_hostname=host).close()
        except (ssl.SSLError, OSError):
            if protocol.startswith("SASL"):
                return ""
            with socket.create_connection((host, port), _CONNECT_S) as again:
                return _LOGIN.format("SASL_PLAINTEXT") if _wants_a_login(again) else ""
    return "the listener speaks TLS: set kafka.security.protocol to SSL or SASL_SSL"


def _wants_a_login(connection: socket.socket) -> bool:
    """Whether the listener ends the connection rather than answer."""
    connection.settimeout(_CONNECT_S)
    try:
        connection.sendall(_ASK)
        return not connection.recv(4)
    except TimeoutError:
        return False
    except OSError:
        return True
