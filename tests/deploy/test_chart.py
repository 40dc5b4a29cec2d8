"""The Helm chart: each object is what Kubernetes takes, and all of them fit together and what the code says."""

from __future__ import annotations

import json
import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from schemas.inputs import INPUT_TOPICS
from streams.cli.worker import _LEAVE_S
from streams.settings import ENV_PREFIX, Settings, load
from tests.command import waybill
from tests.deploy import modules
from tests.deploy.chart import (
    CHART,
    ROOT,
    SETS,
    VALUES,
    VERSIONS,
    Object,
    accepted,
    containers,
    helm,
    named,
    of_kind,
    rendered,
    selects,
    template,
    templates,
    variables,
)

EVERYTHING = "everything"


@pytest.mark.parametrize("values", VALUES, ids=SETS)
def test_helm_finds_nothing_to_say(values: Any) -> None:
    done = helm("lint", CHART, "--strict", "--kube-version", VERSIONS[-1], "--values", values)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", SETS)
def test_every_object_is_one_that_kubernetes_knows(values: str, version: str) -> None:
    for each in rendered(values):
        if _others(each):
            jsonschema.validate(each, _of_others(each["kind"]))
        else:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("values", SETS)
def test_an_api_server_would_create_every_object(values: str) -> None:
    """Also in a namespace that lets only pods in that are restricted."""
    assert accepted(tuple(each for each in rendered(values) if not _others(each))) == ""


def test_that_api_server_would_refuse() -> None:
    (worker,) = of_kind(rendered(EVERYTHING), "StatefulSet")
    spec = worker["spec"]["template"]["spec"]
    worker = deepcopy(worker)
    worker["spec"]["template"]["spec"]["volumes"] = []
    assert 'volumeMounts[1].name: Not found: "tmp"' in accepted((worker,))
    worker["spec"]["template"]["spec"] = {**spec, "hostNetwork": True}
    assert "pod security: host namespaces (hostNetwork=true)" in accepted((worker,))


def test_these_schemas_would_notice() -> None:
    (scaled,), (worker,) = (of_kind(rendered(EVERYTHING), kind) for kind in ("ScaledObject", "StatefulSet"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**scaled, "spec": {**scaled["spec"], "maxReplicas": 3}}, _of_others("ScaledObject"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**worker, "spec": {**worker["spec"], "replica": 3}}, VERSIONS[-1], strict=True)


def _others(each: Object) -> bool:
    """Whether it is a resource that is not Kubernetes' own."""
    return bool(each["apiVersion"].startswith(("keda.sh/", "monitoring.coreos.com/")))


def _of_others(kind: str) -> dict[str, Any]:
    """The schema of a resource that is not Kubernetes' own, which knows no other fields than it names."""
    path = modules.folder() / next(name for name in modules.files() if f"_{kind.lower()}s." in name)
    if not path.exists():
        pytest.skip(f"no schema of {kind} here (`make helm` fetches it where Go is)")
    (version,) = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"]["x-kubernetes-preserve-unknown-fields"] = True
    closed: dict[str, Any] = _closed(schema)
    return closed


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", schema.get("x-kubernetes-preserve-unknown-fields", False))
    return closed


REFUSED = {
    "no broker": (["kafka.bootstrapServers="], "kafka.bootstrapServers: name your brokers"),
    "no keys": (["keys.development=false"], "keys.secret: name a Secret"),
    "more workers than partitions": (["worker.replicas=5"], "worker.replicas: more than kafka.partitions"),
    "more workers than partitions by KEDA": (["keda.max=5"], "keda.max: more than kafka.partitions"),
    "a port that no pod could reach": (["kafka.bootstrapServers=a:9092\\,b:9096"], "lacks the port of b:9096"),
    "a desk without accounts": (["desk.enabled=true"], "desk.secret: name a Secret with `users`"),
    "desks with databases of their own": (
        ["desk.enabled=true", "desk.secret=x", "desk.replicas=2"],
        "desk.replicas: more than one needs desk.postgres",
    ),
    "an ingress without TLS": (
        ["desk.enabled=true", "desk.secret=x", "desk.ingress.enabled=true", "desk.ingress.host=x"],
        "desk.ingress: needs host and tlsSecret",
    ),
    "reveals with two desks": (
        ["desk.enabled=true", "desk.secret=x", "desk.replicas=2", "desk.postgres=true", "desk.reveals=true"],
        "desk.reveals: needs tracer.enabled and one desk",
    ),
    "reveals without a tracer": (
        ["desk.enabled=true", "desk.secret=x", "desk.reveals=true", "tracer.enabled=false"],
        "desk.reveals: needs tracer.enabled and one desk",
    ),
    "reveals without a desk": (["desk.reveals=true"], "desk.reveals: needs desk.enabled"),
    "a webhook to nowhere": (["webhook.enabled=true", "webhook.secret=x"], "webhook: needs url, and secret"),
    "a webhook to what is no address": (["webhook.url=receiver"], "webhook"),
    "a setting that is none": (["settings.WAYBILL_EMITFROM=low"], "WAYBILL_EMITFROM"),
    "a setting that the chart makes": (["settings.WAYBILL_INSTANCE=0"], "WAYBILL_INSTANCE"),
    "a key for all to read": (["settings.WAYBILL_TOKEN_KEY=0"], "WAYBILL_TOKEN_KEY"),
    "a value that is none": (["worker.replica=3"], "replica"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_before_it_is_installed(case: str) -> None:
    options, says = REFUSED[case]
    given = [part for option in options for part in ("--set", option)]
    done = template("--values", CHART / "ci/minimal-values.yaml", *given)
    assert done.returncode != 0
    assert says in done.stderr


def test_its_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["appVersion"], chart["version"]) == (project["version"],) * 2
    (worker,) = of_kind(rendered("minimal"), "StatefulSet")
    assert worker["spec"]["template"]["spec"]["containers"][0]["image"] == f"waybill-sentinel:{project['version']}"


def test_it_takes_every_setting_but_those_that_it_makes_and_secrets() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    made = {"bootstrap_servers", "kafka", "kafka_files", "partitions", "replication", "instance", "state_dir"}
    made |= {"web_host", "web_port", "token_key_file", "token_state_key_file", "desk_store_url_file"}
    secrets = {"token_key", "token_state_key", "order_key", "desk_store_url"}
    taken = [f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields if name not in made | secrets]
    names = schema["properties"]["settings"]["propertyNames"]["enum"]
    assert [name for name in names if not name.startswith("OTEL_")] == taken


@pytest.mark.parametrize("values", SETS)
def test_every_process_takes_its_arguments_and_its_settings(values: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables are settings, and their values can be read."""
    objects = rendered(values)
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    for container in containers(objects):
        assert waybill(*container["args"], "--help", env={}).returncode == 0, container["args"]
        found = variables(objects, container)
        assert {name for name in found if name.startswith(ENV_PREFIX)} <= known
        assert _settings(objects, container, monkeypatch).bootstrap_servers is not None
        assert json.loads(found["WAYBILL_KAFKA_FILES"]).keys() <= {"sasl.username", "sasl.password"}


def _settings(objects: tuple[Object, ...], container: Object, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the process reads there, without the files of secrets, which are not here."""
    with monkeypatch.context() as environment:
        for name, value in variables(objects, container).items():
            if name != "WAYBILL_KAFKA_FILES":
                environment.setenv(name, value)
        return load()


@pytest.mark.parametrize("values", SETS)
def test_a_worker_has_the_time_it_takes(values: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = rendered(values)
    spec = named(objects, "StatefulSet", "waybill-worker")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    settings = _settings(objects, container, monkeypatch)
    assert spec["terminationGracePeriodSeconds"] >= settings.stop_s + _LEAVE_S
    live = container["livenessProbe"]
    assert (
        live["periodSeconds"] * live["failureThreshold"] * 1000 > settings.give_up_after_ms
    )  # it ends by itself first


@pytest.mark.parametrize("values", SETS)
def test_a_worker_has_a_name_that_lasts(values: str) -> None:
    (worker,) = of_kind(rendered(values), "StatefulSet")
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    (instance,) = [each for each in container["env"] if each["name"] == "WAYBILL_INSTANCE"]
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


@pytest.mark.parametrize("values", SETS)
def test_ports_and_selectors_meet(values: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = rendered(values)
    labels = {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
              for each in objects if each["kind"] in ("StatefulSet", "Deployment", "Job")}  # fmt: skip
    ports = {
        port["name"]: port["containerPort"] for container in containers(objects) for port in container.get("ports", [])
    }
    for each in objects:
        name = each["metadata"]["name"]
        match each["kind"]:
            case "Service":
                assert [one for one in labels if selects(each["spec"]["selector"], labels[one])] == [name]
                assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports.keys()
            case "StatefulSet" | "Deployment" | "PodDisruptionBudget" | "PodMonitor":
                selector = each["spec"]["selector"]["matchLabels"]
                assert [one for one in labels if selects(selector, labels[one])] == [name]
    for container in containers(objects):
        probes = [container[name] for name in container if name.endswith("Probe")]
        assert {probe["httpGet"]["port"] for probe in probes} <= {port["name"] for port in container.get("ports", [])}
        if container["name"] == "worker":
            assert _settings(objects, container, monkeypatch).web_port == ports["web"]
        if container["name"] == "desk":
            assert f"--port={ports['http']}" in container["args"]


@pytest.mark.parametrize("values", SETS)
def test_pods_may_do_nothing_that_they_need_not(values: str) -> None:
    for each in templates(rendered(values)):
        spec = each["spec"]
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {mount["name"] for mount in container["volumeMounts"]} <= {
                *(volume["name"] for volume in spec["volumes"]),
                "state",
            }
            assert container["resources"]["limits"]["memory"]


def test_keys_and_records_of_carriers_are_for_workers_and_tracer() -> None:
    """The desk and the dispatcher never see a person: they hold no key, and no other's login."""
    secrets = {
        each["spec"]["containers"][0]["name"]: {
            volume["secret"]["secretName"] for volume in each["spec"]["volumes"] if "secret" in volume
        }
        for each in templates(rendered(EVERYTHING))
    }
    assert secrets == {
        "worker": {"kafka-ca", "kafka-worker", "waybill-keys"},
        "tracer": {"kafka-ca", "kafka-tracer", "waybill-keys"},
        "dispatcher": {"kafka-ca", "kafka-dispatcher"},
        "desk": {"kafka-ca", "kafka-desk", "waybill-desk"},
        "topics": {"kafka-ca", "kafka-operator"},
        "webhook": {"kafka-ca", "kafka-webhook", "waybill-webhook"},
    }
    (desk,) = [each for each in containers(rendered(EVERYTHING)) if each["name"] == "desk"]
    kafka = json.loads(variables(rendered(EVERYTHING), desk)["WAYBILL_KAFKA"])
    assert (kafka["client.id"], kafka["security.protocol"]) == ("desk", "SASL_SSL")  # its own beside everybody's


def test_for_reveals_the_tracer_is_beside_the_desk_and_keeps_its_secrets() -> None:
    """They share a folder for the socket, and no file that names a person or makes tokens."""
    objects = rendered("secured", "tracer.kafka.secret=kafka-tracer", "desk.kafka.secret=kafka-desk",
                       "podMonitor.enabled=true")  # fmt: skip
    assert {each["metadata"]["name"] for each in of_kind(objects, "Deployment")} == {
        "waybill-desk", "waybill-dispatcher",
    }  # fmt: skip
    spec = named(objects, "Deployment", "waybill-desk")["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    pod = spec["template"]["spec"]
    both = {each["name"]: each for each in pod["containers"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {
        name: {mount["mountPath"]: volumes[mount["name"]] for mount in each["volumeMounts"]}
        for name, each in both.items()
    }
    secret = {
        (name, path): volume["secret"]["secretName"]
        for name, each in mounts.items() for path, volume in each.items() if "secret" in volume
    }  # fmt: skip
    assert secret == {
        ("desk", "/run/secrets/kafka"): "kafka-desk", ("tracer", "/run/secrets/kafka"): "kafka-tracer",
        ("desk", "/run/secrets/desk"): "waybill-desk", ("tracer", "/run/secrets/keys"): "waybill-keys",
        **{(name, "/run/secrets/kafka-ca"): "parcels-cluster-ca-cert" for name in both},
    }  # fmt: skip
    (door,) = {arg for each in both.values() for arg in each["args"] if arg.startswith("--door=")}
    socket = Path(door.removeprefix("--door="))
    assert all(each[str(socket.parents[1])] == {"name": "door", "emptyDir": {}} for each in mounts.values())
    ports = [port["containerPort"] for each in both.values() for port in each["ports"]]
    assert len(ports) == len(set(ports))
    named_ports = {port["name"] for each in both.values() for port in each["ports"]}
    policies = [each["spec"] for each in of_kind(objects, "NetworkPolicy")]
    labels = spec["template"]["metadata"]["labels"]
    own = [each for each in policies if selects(each["podSelector"]["matchLabels"], labels)]
    assert {
        port["port"] for policy in own for rule in policy.get("ingress", []) for port in rule["ports"]
    } == named_ports
    monitor = named(objects, "PodMonitor", "waybill-tracer")["spec"]
    assert selects(monitor["selector"]["matchLabels"], labels)
    assert monitor["podMetricsEndpoints"][0]["port"] == "tracer"


def test_the_topics_come_first_and_need_nothing_of_the_release() -> None:
    (job,) = of_kind(rendered(EVERYTHING), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert "envFrom" not in container
    assert variables(rendered(EVERYTHING), container)["WAYBILL_PARTITIONS"] == "24"
    made = {each["metadata"]["name"] for each in of_kind(rendered(EVERYTHING), "ServiceAccount")}
    assert job["spec"]["template"]["spec"]["serviceAccountName"] not in made


def test_a_policy_lets_prometheus_in_and_kafka_and_postgresql_out() -> None:
    objects = rendered(EVERYTHING)
    policies = [each["spec"] for each in of_kind(objects, "NetworkPolicy")]
    for pod in templates(objects):
        (container,) = pod["spec"]["containers"]
        own = [each for each in policies if selects(each["podSelector"]["matchLabels"], pod["metadata"]["labels"])]
        out = {port["port"] for policy in own for rule in policy.get("egress", []) for port in rule["ports"]}
        came = {port["port"] for policy in own for rule in policy.get("ingress", []) for port in rule["ports"]}
        assert out >= {53, 9094}
        assert (5432 in out) == (container["name"] == "desk")
        assert (8443 in out) == (container["name"] == "webhook")
        assert came == {port["name"] for port in container.get("ports", [])}
        assert {"Ingress", "Egress"} <= {each for policy in own for each in policy["policyTypes"]}
        assert all(rule["from"] for policy in own for rule in policy.get("ingress", []))  # none is open to everyone


def test_keda_scales_by_what_workers_read_and_within_the_partitions() -> None:
    objects = rendered(EVERYTHING)
    (scaled,), (worker,) = (of_kind(objects, kind) for kind in ("ScaledObject", "StatefulSet"))
    assert scaled["spec"]["scaleTargetRef"]["name"] == worker["metadata"]["name"]
    assert "replicas" not in worker["spec"]  # an upgrade would set it back
    assert tuple(each["metadata"]["topic"] for each in scaled["spec"]["triggers"]) == INPUT_TOPICS
    groups = {each["metadata"]["consumerGroup"] for each in scaled["spec"]["triggers"]}
    assert groups == {Settings.model_fields["group"].default}
    assert 0 < scaled["spec"]["minReplicaCount"] <= scaled["spec"]["maxReplicaCount"] == 24


def test_what_is_off_makes_nothing() -> None:
    kinds = {each["kind"] for each in rendered("minimal", "networkPolicy.enabled=false", "tracer.enabled=false",
                                               "dispatcher.enabled=false", "topics.create=false")}  # fmt: skip
    assert kinds == {"StatefulSet", "Service", "PodDisruptionBudget", "ConfigMap", "ServiceAccount"}


def test_a_change_of_settings_makes_pods_anew() -> None:
    before, after = (rendered("minimal", option) for option in ("worker.replicas=2", "settings.WAYBILL_EMIT_FROM=low"))
    sums = [pod["metadata"]["annotations"]["checksum/settings"] for each in (before, after) for pod in templates(each)]
    assert len(set(sums)) == 2


@pytest.mark.parametrize("values", SETS)
def test_prometheus_finds_every_process_under_the_name_that_rules_and_dashboards_have(values: str) -> None:
    objects = rendered(values)
    shipped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"] for job in shipped["scrape_configs"]}
    found = set()
    for monitor in of_kind(objects, "PodMonitor"):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        found |= {each["replacement"] for each in endpoint["relabelings"] if each["targetLabel"] == "job"}
    assert found == (jobs if values == EVERYTHING else set())
    for container in containers(objects):
        given = re.findall(r"--metrics-port[= ](\d+)", " ".join(container["args"]))
        if given:
            assert int(given[0]) in [port["containerPort"] for port in container["ports"]]
            assert variables(objects, container)["WAYBILL_WEB_HOST"] == "0.0.0.0"
