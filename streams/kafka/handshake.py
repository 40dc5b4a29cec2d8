"""Why a client and a listener do not come together, found out by a connection of our own.

librdkafka tells a certificate for another host from one of another CA no more than a TLS listener from one that is
down. This is asked only where a broker did not answer, so that the message can say what to set.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

from streams.kafka.errors import ClientError

_CONNECT_S = 3.0
_HOST_MISMATCH = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_EXPIRED = {9, 10}


def check_files(config: Mapping[str, object]) -> None:
    """Files that properties name must be there: OpenSSL does not say which one is not. Raises ClientError."""
    for name, value in config.items():
        if re.fullmatch(r"ssl\..*location|sasl\.kerberos\.keytab", name) and value and value != "probe":
            try:
                if not Path(str(value)).is_dir():
                    Path(str(value)).open("rb").close()
            except OSError as error:
                raise ClientError(f"kafka.{name}: {value}: {error.strerror}; check the path") from error


def diagnosis(config: Mapping[str, object]) -> str:
    """What is wrong between these properties and the first listener that takes a connection; empty if unknown."""
    protocol = str(config.get("security.protocol", "plaintext")).upper()
    for server in str(config.get("bootstrap.servers", "")).split(","):
        match = re.fullmatch(r"(?:[A-Za-z_]+://)?\[?([^\]/]*?)\]?(?::(\d+))?", server.strip())
        if match is None:
            continue
        host, port = match[1], int(match[2] or 9092)
        try:
            return _with_tls(config, host, port) if protocol.endswith("SSL") else _without_tls(protocol, host, port)
        except OSError:  # of the connection itself, which librdkafka tells of
            continue
    return ""


def _with_tls(config: Mapping[str, object], host: str, port: int) -> str:
    ca = str(config.get("ssl.ca.location", "") or "")
    named = ca if ca and ca != "probe" else None
    folder = named if named and Path(named).is_dir() else None
    context = ssl.create_default_context(cafile=None if folder else named, capath=folder)
    context.check_hostname = str(config.get("ssl.endpoint.identification.algorithm", "https")) != "none"
    with socket.create_connection((host, port), _CONNECT_S) as connection:
        try:
            context.wrap_socket(connection, server_hostname=host).close()
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
    return ""


def _without_tls(protocol: str, host: str, port: int) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, port), _CONNECT_S) as connection:
        try:
            context.wrap_socket(connection, server_hostname=host).close()
        except (ssl.SSLError, OSError):
            if protocol.startswith("SASL"):
                return ""
            return (
                "it takes connections and closes them at once: the listener probably asks for a login; set "
                "kafka.security.protocol to SASL_PLAINTEXT, kafka.sasl.mechanism, username and password"
            )
    return "the listener speaks TLS: set kafka.security.protocol to SSL or SASL_SSL"
