"""A real Kafka that asks who one is and what one may: for tests of rights and of handshakes.

    with Secured() as kafka:
        kafka.allow("worker", "READ", "topic", "waybill.shipments")
        Settings(**kafka.as_user("worker"))

Besides the plain listener, through which the broker itself and tests come as super user, it has one for SASL (PLAIN;
any of USERS, whose password is their name) and one for TLS, whose certificate is for `localhost` alone.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streams.kafka.rights import Kind, Right
from streams.kafka.roles import ROLES, role
from streams.ops.broker import PrivateKafka

USERS = (*(each.name for each in ROLES), "nobody")
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
        self._sasl, self._tls = _free_port(), _free_port()
        self.folder = Path()

    def __enter__(self) -> Self:
        with self._stack:
            self.folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="waybill-secured-")))
            self.ca = self.folder / "ca.pem"
            self.other_ca = self.folder / "other-ca.pem"
            _certificates(self.folder)
            self._kafka = self._stack.enter_context(PrivateKafka(settings=self._properties))
            self.servers = self._kafka.bootstrap_servers
            self._admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def _properties(self) -> dict[str, str]:
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        users = " ".join(f'user_{name}="{name}"' for name in USERS)
        return {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl.plain.sasl.jaas.config": f"{login} {users};",
            "listener.name.tls.ssl.keystore.type": "PEM",
            "listener.name.tls.ssl.keystore.location": str(self.folder / "broker.pem"),
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL",
            "+listeners": f"SASL://127.0.0.1:{self._sasl},TLS://localhost:{self._tls}",
        }

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
        return {"bootstrap_servers": f"127.0.0.1:{self._sasl}", "kafka": kafka}

    def over_tls(self, host: str = "localhost", **properties: Any) -> dict[str, Any]:
        """Settings of a client that comes to the TLS listener by this host name."""
        kafka = {"security.protocol": "SSL", "ssl.ca.location": str(self.ca), "log_level": 0, **properties}
        return {"bootstrap_servers": f"{host}:{self._tls}", "kafka": kafka}

    def allow(self, user: str, operation: str, kind: Kind | str, name: str, *, prefixed: bool = False) -> None:
        """Add one entry."""
        self._add([_entry(user, operation, kind, name, prefixed)])

    def _add(self, entries: Iterable[AclBinding]) -> None:
        for created in self._admin.create_acls([*entries]).values():
            created.result(10)

    def allow_role(self, name: str, group: str, *, but: Iterable[Right] = (), user: str = "") -> None:
        """Exactly what a role needs, except some of it; the user is called like the role."""
        self.grant([right for right in role(name).rights(group) if right not in but], user or name)

    def grant(self, rights: Iterable[Right], user: str) -> None:
        """Add an entry for each right."""
        self._add(_entry(user, right.operation, right.kind, right.name, right.prefixed) for right in rights)

    def deny_all(self) -> None:
        """Remove every entry."""
        anything: Any = None
        every = AclBindingFilter(
            ResourceType.ANY, anything, ResourcePatternType.ANY, anything, anything, AclOperation.ANY,
            AclPermissionType.ANY,
        )  # fmt: skip
        for removed in self._admin.delete_acls([every]).values():
            removed.result(10)


def _entry(user: str, operation: str, kind: Kind | str, name: str, prefixed: bool) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        _KINDS[kind], name, pattern, f"User:{user}", "*", AclOperation[operation], AclPermissionType.ALLOW
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _certificates(folder: Path) -> None:
    """A CA, the broker's certificate by it, and a CA that has nothing to do with either."""
    ca_key, ca = _issue("waybill test CA")
    key, certificate = _issue("localhost", ca_key, ca)
    _, other = _issue("another CA")
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "other-ca.pem").write_bytes(other.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "broker.pem").write_bytes(private + certificate.public_bytes(pem) + ca.public_bytes(pem))


def _issue(
    name: str, ca_key: ec.EllipticCurvePrivateKey | None = None, ca: x509.Certificate | None = None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if ca is None else ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
    )
    if ca is not None:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return key, made.sign(ca_key or key, hashes.SHA256())
