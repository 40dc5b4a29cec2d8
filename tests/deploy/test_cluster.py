"""The chart on a whole API server: what it takes, keeps, and refuses. Nothing runs there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy

import pytest
import yaml

from tests.deploy import modules
from tests.deploy.chart import CHART, SETS, Object, helm, rendered, templates
from tests.deploy.cluster import Cluster, RefusedError


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server that knows KEDA's and Prometheus' kinds, and a namespace that lets only restricted pods in."""
    if not modules.apiserver().exists():
        pytest.skip("no API server here (`make apiserver` builds it where Go is)")
    helm("version")
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        for name in modules.files():
            running.create(yaml.safe_load((modules.folder() / name).read_text(encoding="utf-8")))
        priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1_000}
        running.create({**priority, "metadata": {"name": "parcels"}})  # which the largest example names
        yield running


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    """One of its own for each test."""
    name = re.sub("[^a-z]+", "-", request.node.name.removeprefix("test_")).strip("-")
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}, namespace=name)
    return name


@pytest.mark.parametrize("values", SETS)
def test_it_creates_every_object_and_would_let_every_pod_in(cluster: Cluster, namespace: str, values: str) -> None:
    objects = [_here(each) for each in rendered(values)]
    objects.sort(key=lambda each: bool(each["kind"] != "ServiceAccount"))
    assert [said for each in objects for said in cluster.create(each, namespace=namespace)] == []
    for number, made in enumerate(each for each in objects if [*templates((each,))]):
        (template,) = templates((made,))
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        pod["metadata"] = {**template["metadata"], "name": f"pod-{number}"}
        claims = made["spec"].get("volumeClaimTemplates", ())
        pod["spec"]["volumes"] = [*pod["spec"].get("volumes", ()), *map(_claimed, claims)]
        assert cluster.create(pod, namespace=namespace) == []


def test_it_would_refuse(cluster: Cluster, namespace: str) -> None:
    (worker,) = [_here(each) for each in rendered("minimal") if each["kind"] == "StatefulSet"]
    misspelt = deepcopy(worker)
    misspelt["spec"]["replica"] = 2
    with pytest.raises(RefusedError, match=r"unknown field .*spec\.replica"):
        cluster.create(misspelt, namespace=namespace)
    template = deepcopy(worker["spec"]["template"])
    template["spec"] |= {"hostNetwork": True, "serviceAccountName": "default"}
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {"name": "pod"}}
    with pytest.raises(RefusedError, match="violates PodSecurity"):
        cluster.create(pod, namespace=namespace)


def test_helm_installs_and_upgrades_and_is_told_what_cannot_change(cluster: Cluster, namespace: str) -> None:
    """Without the Job of the topics, for whose end Helm would wait: nobody runs it here."""
    chart = (
        "waybill", CHART, "--namespace", namespace, "--no-hooks", "--values", CHART / "ci/minimal-values.yaml",
        "--set", "worker.persistence.enabled=true",
    )  # fmt: skip
    dry = cluster.helm("install", *chart, "--dry-run=server")
    assert dry.returncode == 0, dry.stderr
    installed = cluster.helm("install", *chart)
    assert installed.returncode == 0, installed.stderr
    upgraded = cluster.helm("upgrade", *chart, "--set", "worker.replicas=3")
    assert upgraded.returncode == 0, upgraded.stderr
    (worker,) = cluster.find("apps/v1", "StatefulSet", namespace)
    assert worker["spec"]["replicas"] == 3
    refused = cluster.helm("upgrade", *chart, "--set", "worker.persistence.size=99Gi")
    assert refused.returncode == 1
    assert "field is immutable" in refused.stderr


def _claimed(claim: Object) -> Object:
    """The volume that a StatefulSet's controller gives a pod for a claim."""
    name = claim["metadata"]["name"]
    return {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-pod"}}


def _here(each: Object) -> Object:
    """Without the namespace for which it was rendered."""
    made = deepcopy(each)
    made["metadata"].pop("namespace", None)
    return made
