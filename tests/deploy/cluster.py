"""A whole API server of Kubernetes, with nothing behind it: no scheduler, no controllers, no nodes.

`make apiserver` builds it from Go's modules, an hour of CPU and more. Without it the tests that need it do not run.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.deploy import modules
from tests.deploy.chart import Object
from tests.prometheus import free_port
from tests.waiting import until

_TOKEN = "for-tests"


class RefusedError(AssertionError):
    """The server's own words on what it does not take."""


class Cluster(AbstractContextManager["Cluster"]):
    """The server, for as long as the context lasts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.kubeconfig = folder / "kubeconfig"
        self._log = folder / "log"
        self._paths: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Self:
        key = self._folder / "accounts.key"
        key.write_bytes(
            rsa.generate_private_key(65_537, 2_048).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (self._folder / "tokens").write_text(f'{_TOKEN},admin,1,"system:masters"\n')
        self._write_kubeconfig()
        flags = {
            "bind-address": "127.0.0.1",
            "secure-port": self._port,
            "cert-dir": self._folder / "certificates",
            "token-auth-file": self._folder / "tokens",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-signing-key-file": key,
            "service-account-key-file": key,
            "service-cluster-ip-range": "10.0.0.0/24",
            "authorization-mode": "RBAC",
            "v": 0,
        }
        command = [str(modules.apiserver()), str(self._folder / "store"), str(free_port())]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *(f"--{name}={value}" for name, value in flags.items())], stdout=log, stderr=log
            )
        try:
            until(self._ready, self.told)
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def told(self) -> str:
        """What it said."""
        return self._log.read_text(errors="replace")[-4_000:]

    def _ready(self) -> bool:
        assert self._process.poll() is None, self.told()
        try:
            return bool(self._ask("GET", "/readyz") == "ok")
        except (OSError, RefusedError):
            return False

    def create(self, object_: Object, *, namespace: str | None = None, server_checks_only: bool = False) -> list[str]:
        """Create an object, every field of which it has to know; what it warned of. Raises RefusedError."""
        where = self._path(object_, namespace)
        only = "&dryRun=All" if server_checks_only else ""
        answer = self._send("POST", f"{where}?fieldValidation=Strict{only}", object_)
        return answer.headers.get_all("Warning") or []

    def find(self, api: str, kind: str, namespace: str) -> list[Object]:
        """All objects of a kind."""
        path = self._path({"apiVersion": api, "kind": kind, "metadata": {}}, namespace)
        found: list[Object] = self._ask("GET", path)["items"]
        return found

    def _path(self, object_: Object, namespace: str | None) -> str:
        api, kind = object_["apiVersion"], object_["kind"]
        root = f"/apis/{api}" if "/" in api else f"/api/{api}"
        if (api, kind) not in self._paths:
            for each in self._ask("GET", root)["resources"]:
                place = "/namespaces/{}" if each["namespaced"] else ""
                self._paths.setdefault((api, each["kind"]), f"{root}{place}/{each['name']}")
        assert (api, kind) in self._paths, f"it knows no {kind} of {api}"
        return self._paths[api, kind].format(object_["metadata"].get("namespace") or namespace)

    def _ask(self, verb: str, path: str) -> Any:
        answer = self._send(verb, path, None)
        text = answer.read().decode()
        return json.loads(text) if text.startswith("{") else text

    def _send(self, verb: str, path: str, body: Object | None) -> Any:
        request = Request(f"https://127.0.0.1:{self._port}{path}", method=verb)
        request.add_header("Authorization", f"Bearer {_TOKEN}")
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        try:
            return urlopen(request, data, timeout=60, context=ssl._create_unverified_context())
        except HTTPError as error:
            with error:
                raise RefusedError(error.read().decode()) from None

    def _write_kubeconfig(self) -> None:
        server = {"server": f"https://127.0.0.1:{self._port}", "insecure-skip-tls-verify": True}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "admin", "user": {"token": _TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def helm(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run Helm on it."""
        built = modules.folder() / "helm"
        program = str(built) if built.exists() else str(shutil.which("helm"))
        env = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False, env=env)
