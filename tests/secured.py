"""A real Kafka that asks who one is and what one may: for tests of rights and of handshakes.

    with Secured() as kafka:
        kafka.allow("worker", "READ", "topic", "waybill.shipments")
        Settings(**kafka.as_user("worker"))

Besides the plain listener, through which the broker itself and tests come as super user, it has a listener for each way
to come in. USERS are users of all of them; certificates are for `localhost` alone.

SASL      PLAIN without TLS; the password is the name
TLS       TLS alone: whoever comes is nobody in particular
MTLS      TLS with the client's certificate, whose CN is the user
SCRAM     SCRAM-SHA-512 under TLS; the password is the name
OAUTH     OAUTHBEARER under TLS: the subject of a token that `TokenEndpoint` gives
EXPIRED   TLS with a certificate that is over
"""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, get_args
from urllib.parse import parse_qs, unquote

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey

from streams.kafka.rights import Kind, Operation, Right
from streams.kafka.roles import ROLES, role
from streams.ops.broker import PrivateKafka
from tests.waiting import PATIENCE_S, until

AUDIENCE = "kafka"
USERS = (*(each.name for each in ROLES), "nobody")
_ANY: Any = None
_EVERY = AclBindingFilter(
    ResourceType.ANY, _ANY, ResourcePatternType.ANY, _ANY, _ANY, AclOperation.ANY, AclPermissionType.ANY
)
_KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,
}


class Secured:
    """The broker, for as long as the context lasts."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._ports = {name: _free_port() for name in ("SASL", "TLS", "MTLS", "SCRAM", "OAUTH", "EXPIRED")}
        self.folder = Path()
        self._used: dict[str, set[Right]] = {}
        self._audited = 0  # bytes of the broker's log that were read for it

    def __enter__(self) -> Self:
        with self._stack:
            self.folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="waybill-secured-")))
            self.ca = self.folder / "ca.pem"
            self.other_ca = self.folder / "other-ca.pem"
            _certificates(self.folder)
            self.tokens = self._stack.enter_context(TokenEndpoint(self.folder / "keys.json"))
            self._kafka = self._stack.enter_context(PrivateKafka(settings=self._properties, jvm_options=self._jvm))
            self.servers = self._kafka.bootstrap_servers
            self._admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
            self._add_scram_users()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def restart(self) -> None:
        """Stop the broker and start it again; it keeps its users and what they may."""
        self._kafka.restart()

    @property
    def _properties(self) -> dict[str, str]:
        modules = "org.apache.kafka.common.security"
        users = " ".join(f'user_{name}="{name}"' for name in USERS)
        return {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl.plain.sasl.jaas.config": f"{modules}.plain.PlainLoginModule required {users};",
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
            "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.oauth.oauthbearer.sasl.jaas.config":
                f"{modules}.oauthbearer.OAuthBearerLoginModule required;",
            "listener.name.oauth.oauthbearer.sasl.server.callback.handler.class":
                f"{modules}.oauthbearer.OAuthBearerValidatorCallbackHandler",
            # Kafka 4.1.0 and 4.1.1 believe any token without it: docs/security.md.
            "sasl.oauthbearer.jwt.validator.class": f"{modules}.oauthbearer.BrokerJwtValidator",
            "sasl.oauthbearer.jwks.endpoint.url": self.tokens.keys,
            "sasl.oauthbearer.expected.audience": AUDIENCE,
            "sasl.oauthbearer.clock.skew.seconds": "0",
            "listener.name.oauth.oauthbearer.connections.max.reauth.ms": "3600000",  # and a token's end at the latest
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.mtls.ssl.truststore.type": "PEM",
            "listener.name.mtls.ssl.truststore.location": str(self.ca),
            "ssl.principal.mapping.rules": "RULE:^CN=(.*)$/$1/",
            **{
                f"listener.name.{name.lower()}.ssl.keystore.{what}": value
                for name in self._ports if name != "SASL"
                for what, value in (
                    ("type", "PEM"),
                    ("location", str(self.folder / ("expired.pem" if name == "EXPIRED" else "broker.pem"))),
                )
            },
            **{f"listener.name.{name.lower()}.num.network.threads": "1" for name in self._ports},
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,"
                "MTLS:SSL,SCRAM:SASL_SSL,OAUTH:SASL_SSL,EXPIRED:SSL",
            "+listeners": ",".join(
                f"{name}://{'127.0.0.1' if name == 'SASL' else 'localhost'}:{port}"
                for name, port in self._ports.items()
            ),
        }  # fmt: skip

    @property
    def _jvm(self) -> list[str]:
        return [
            f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.tokens.keys}",
            "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug",  # for `used`
        ]

    def _add_scram_users(self) -> None:
        added: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(
                name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4_096), password=name.encode()
            )
            for name in USERS
        ]
        for done in self._admin.alter_user_scram_credentials(added).values():
            done.result(PATIENCE_S)

    def as_user(self, name: str, **more: Any) -> dict[str, Any]:
        """Settings of a client that logs in under this name."""
        kafka = {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": name,
            "sasl.password": name,
            "log_level": 0,
            **more,
        }
        return {"bootstrap_servers": f"127.0.0.1:{self._ports['SASL']}", "kafka": kafka}

    def over_tls(self, host: str = "localhost", listener: str = "TLS", **properties: Any) -> dict[str, Any]:
        """Settings of a client that comes to a listener with TLS by this host name."""
        kafka = {"security.protocol": "SSL", "ssl.ca.location": str(self.ca), "log_level": 0, **properties}
        return {"bootstrap_servers": f"{host}:{self._ports[listener]}", "kafka": kafka}

    def by_certificate(self, name: str, **more: Any) -> dict[str, Any]:
        """Settings of a client that shows a certificate with this name."""
        files = {"ssl.certificate.location": self.folder / f"{name}.pem", "ssl.key.location": self.folder / "user.key"}
        return self.over_tls(listener="MTLS", **{key: str(file) for key, file in files.items()}, **more)

    def by_scram(self, name: str, **more: Any) -> dict[str, Any]:
        """Settings of a client that logs in under this name."""
        login = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": name, "sasl.password": name}
        return self.over_tls(listener="SCRAM", **{"security.protocol": "SASL_SSL", **login, **more})

    def by_token(self, name: str, **more: Any) -> dict[str, Any]:
        """Settings of a client that fetches tokens under this name."""
        login = {
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": self.tokens.url,
            "sasl.oauthbearer.client.id": name,
            "sasl.oauthbearer.client.secret": name,
        }
        return self.over_tls(listener="OAUTH", **{"security.protocol": "SASL_SSL", **login, **more})

    def used(self, user: str) -> set[Right]:
        """The rights that the broker has gone by so far to allow this user something, by its log."""
        with self._kafka.log_path.open("rb") as log:
            log.seek(self._audited)
            lines = log.read().rpartition(b"\n")[0]
        self._audited += len(lines)
        for one in _AUDIT.finditer(lines.decode("utf-8", "replace")):
            prefixed = one["pattern"] == "PREFIXED"
            right = Right(_operation(one["operation"]), _KIND_OF[one["kind"]], one["name"], prefixed)
            self._used.setdefault(one["user"], set()).add(right)
        return set(self._used.get(user, ()))

    def allow(self, user: str, operation: str, kind: Kind | str, name: str, *, prefixed: bool = False) -> None:
        """Add one entry."""
        self._add([_entry(user, operation, kind, name, prefixed)])

    def _add(self, entries: Iterable[AclBinding]) -> None:
        added = [*entries]
        for created in self._admin.create_acls(added).values():
            created.result(PATIENCE_S)
        until(lambda: set(added) <= self._entries())

    def _entries(self) -> set[AclBinding]:
        """What the broker goes by: it hears of a change some milliseconds after the controller has answered."""
        return set(self._admin.describe_acls(_EVERY).result(PATIENCE_S))

    def allow_role(self, name: str, group: str, *, but: Iterable[Right] = (), user: str = "") -> None:
        """Exactly what a role needs, except some of it; the user is called like the role."""
        self.grant([right for right in role(name).rights(group) if right not in but], user or name)

    def grant(self, rights: Iterable[Right], user: str) -> None:
        """Add an entry for each right."""
        self._add(_entry(user, right.operation, right.kind, right.name, right.prefixed) for right in rights)

    def deny_all(self) -> None:
        """Remove every entry."""
        for removed in self._admin.delete_acls([_EVERY]).values():
            removed.result(PATIENCE_S)
        until(lambda: not self._entries())


def _entry(user: str, operation: str, kind: Kind | str, name: str, prefixed: bool) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        _KINDS[kind], name, pattern, f"User:{user}", "*", AclOperation[operation], AclPermissionType.ALLOW
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_AUDIT = re.compile(
    r"Principal = User:(?P<user>\S+) is Allowed operation = (?P<operation>\w+) .* based on rule .*"
    r"resourceType=(?P<kind>\w+), resourceName=(?P<name>[^,]+), patternType=(?P<pattern>\w+),.*"
    r" operation=(?P=operation),"
)
_KIND_OF: dict[str, Kind] = {"TOPIC": "topic", "GROUP": "group", "TRANSACTIONAL_ID": "transactional id"}


def _operation(word: str) -> Operation:
    words: tuple[Operation, ...] = get_args(Operation)
    return next(each for each in words if each == word)


class TokenEndpoint:
    """Gives tokens for client credentials, as OAuth 2 has it; whoever knows its own name as secret gets one.

    `keys` is the address of a file with the key by which a broker knows them. With the scope `others` the token is for
    somebody else than the broker, with `over` it is over, with `short` it soon will be. `given`: how many it gave.
    """

    def __init__(self, keys: Path) -> None:
        self._key = ECKey.generate_key("P-256", parameters={"kid": "test", "alg": "ES256", "use": "sig"})
        self.given = 0
        keys.write_text(json.dumps({"keys": [self._key.as_dict(private=False)]}))
        self.keys = keys.as_uri()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, name: str, scope: str) -> str:
        """A token for a subject."""
        self.given += 1
        now = int(time.time())
        lifetime_s = {"over": -60, "short": 3}.get(scope, 600)
        audience = "others" if scope == "others" else AUDIENCE
        claims = {"sub": name, "aud": audience, "iss": self.url, "iat": now, "exp": now + lifetime_s}
        return str(jwt.encode({"alg": "ES256", "kid": "test"}, claims, self._key))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = parse_qs(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
                login = base64.b64decode(self.headers.get("authorization", "").removeprefix("Basic ")).decode()
                name, _, secret = login.partition(":")
                good = bool(name) and unquote(name) == unquote(secret)
                answer: dict[str, object] = {"error": "invalid_client"}
                if good:
                    token = endpoint.token(name, *asked.get("scope", [""]))
                    answer = {"access_token": token, "token_type": "bearer"}
                body = json.dumps(answer).encode()
                self.send_response(200 if good else 401)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def _certificates(folder: Path) -> None:
    """A CA, the broker's certificate by it, one that is over, those of users, and a CA that is none of theirs."""
    ca_key, ca = _issue("waybill test CA")
    key, certificate = _issue("localhost", ca_key, ca)
    _, expired = _issue("localhost", ca_key, ca, key, days=-1)
    _, other = _issue("another CA")
    (folder / "ca.pem").write_bytes(_pem(ca))
    (folder / "other-ca.pem").write_bytes(_pem(other))
    (folder / "broker.pem").write_bytes(_private(key) + _pem(certificate) + _pem(ca))
    (folder / "expired.pem").write_bytes(_private(key) + _pem(expired) + _pem(ca))
    (folder / "user.key").write_bytes(_private(key))
    for name in USERS:
        (folder / f"{name}.pem").write_bytes(_pem(_issue(name, ca_key, ca, key)[1]))
    (folder / "late.pem").write_bytes(_pem(_issue("worker", ca_key, ca, key, days=-1)[1]))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _issue(
    name: str,
    ca_key: ec.EllipticCurvePrivateKey | None = None,
    ca: x509.Certificate | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
    days: int = 30,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A key, or the given one, and its certificate; days: from now, until when it is valid."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if ca is None else ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
    )
    if ca is not None:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return key, made.sign(ca_key or key, hashes.SHA256())
