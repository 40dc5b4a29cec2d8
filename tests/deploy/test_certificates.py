"""What `deploy/certificates.sh` makes, and that the secured Compose file knows each process as its role."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from streams.kafka.roles import ROLES

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_each_name_has_a_certificate_by_one_ca_and_keeps_it(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    script, folder = DEPLOY / "certificates.sh", tmp_path / "secrets"
    subprocess.run([script, folder, "kafka", "worker"], check=True)
    worker = (folder / "worker.pem").read_bytes()
    subprocess.run([script, folder, "worker", "north"], check=True)
    assert (folder / "worker.pem").read_bytes() == worker
    ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    for name in ("kafka", "worker", "north"):
        pem = (folder / f"{name}.pem").read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
        certificate.verify_directly_issued_by(ca)
        assert certificate.subject.rfc4514_string() == f"CN={name}"
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [name, "localhost"]
        assert load_pem_private_key(pem, None).public_key() == certificate.public_key()
    assert (folder.stat().st_mode & 0o777, (folder / "ca.key").stat().st_mode & 0o777) == (0o700, 0o600)


def test_each_process_in_compose_comes_as_its_role() -> None:
    plain = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    secured = yaml.safe_load((DEPLOY / "compose.secured.yaml").read_text(encoding="utf-8"))["services"]
    assert plain.keys() == secured.keys() - {"command"}
    shown = {name: own["source"] for name, each in secured.items() for own in each["secrets"] if isinstance(own, dict)}
    roles = {role.name for role in ROLES}
    assert shown == {
        "kafka": "kafka", "topics": "operator", "command": "command",
        **{name: name for name in ("worker", "tracer", "dispatcher", "desk")},
    }  # fmt: skip
    assert {*shown.values()} - roles == {"kafka", "command"}
