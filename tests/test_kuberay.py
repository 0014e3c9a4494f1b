"""The KubeRay manifest against the fields of `ray.io/v1` (KubeRay 1.7) and of the pods that it uses."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import ray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "docs" / "kuberay.yaml"
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """A part of a manifest; a field that the schema does not know is a mistake, as the API server has it."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Part):
    name: Name | None = None
    generateName: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][-a-z0-9]*$")] | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @model_validator(mode="after")
    def named(self) -> "Metadata":
        if not (self.name or self.generateName):
            raise ValueError("an object needs 'name' or 'generateName'")
        return self


class SecretReference(Part):
    name: Name
    optional: bool = False


class EnvironmentSource(Part):
    secretRef: SecretReference


class Variable(Part):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    value: str


class Resources(Part):
    requests: dict[str, Quantity | Count] = {}
    limits: dict[str, Quantity | Count] = {}


class Mount(Part):
    name: Name
    mountPath: Annotated[str, StringConstraints(pattern=r"^/")]
    readOnly: bool = False


class Container(Part):
    name: Name
    image: str
    env: list[Variable] = []
    envFrom: list[EnvironmentSource] = []
    resources: Resources = Resources()
    volumeMounts: list[Mount] = []


class ConfigMap(Part):
    name: Name


class Claim(Part):
    claimName: Name
    readOnly: bool = False


class Volume(Part):
    name: Name
    configMap: ConfigMap | None = None
    persistentVolumeClaim: Claim | None = None
    emptyDir: dict[str, Any] | None = None

    @model_validator(mode="after")
    def one_source(self) -> "Volume":
        if sum(source is not None for source in (self.configMap, self.persistentVolumeClaim, self.emptyDir)) != 1:
            raise ValueError(f"volume '{self.name}' needs one source")
        return self


class PodSpec(Part):
    containers: Annotated[list[Container], Field(min_length=1)]
    volumes: list[Volume] = []

    @model_validator(mode="after")
    def mounts_are_there(self) -> "PodSpec":
        volumes = {volume.name for volume in self.volumes}
        if absent := {mount.name for each in self.containers for mount in each.volumeMounts} - volumes:
            raise ValueError(f"no volume {sorted(absent)}")
        return self


class Template(Part):
    spec: PodSpec


class HeadGroup(Part):
    rayStartParams: dict[str, str]
    template: Template


class WorkerGroup(Part):
    groupName: Name
    replicas: Count = 0
    minReplicas: Count
    maxReplicas: Count
    rayStartParams: dict[str, str]
    template: Template


class RayCluster(Part):
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup] = []
    rayVersion: str
    enableInTreeAutoscaling: bool = False


class RayJobSpec(Part):
    entrypoint: str
    rayClusterSpec: RayCluster
    shutdownAfterJobFinishes: bool = False
    ttlSecondsAfterFinished: Count = 0
    backoffLimit: Count = 0
    submissionMode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode"] = "K8sJobMode"


class RayJob(Part):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: RayJobSpec


def manifest() -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load(MANIFEST)


def test_the_manifest_fits_the_schema() -> None:
    job = RayJob.model_validate(manifest())
    assert job.spec.rayClusterSpec.headGroupSpec.rayStartParams["num-cpus"] == "0"
    images = {each.image for template in templates(job) for each in template.spec.containers}
    assert len(images) == 1  # one code on every node


def templates(job: RayJob) -> list[Template]:
    cluster = job.spec.rayClusterSpec
    return [cluster.headGroupSpec.template, *(group.template for group in cluster.workerGroupSpecs)]


def test_every_pod_can_reach_the_store_and_has_a_cache() -> None:
    for template in templates(RayJob.model_validate(manifest())):
        (container,) = template.spec.containers
        assert [source.secretRef.name for source in container.envFrom] == ["results"]
        told = {variable.name: variable.value for variable in container.env}
        assert told["WHICHLAYERS_CACHE"] in {mount.mountPath for mount in container.volumeMounts}


def test_its_ray_is_the_locked_one() -> None:
    locked = re.search(r"^ray(?:\[[^]]*\])?==(\S+)", (ROOT / "requirements.lock").read_text(), re.M)
    assert locked
    assert manifest()["spec"]["rayClusterSpec"]["rayVersion"] == locked[1]
    assert ray.__version__.split(".")[0] == locked[1].split(".")[0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "entrypont"), "x"),
        (("spec", "rayClusterSpec", "rayVersion"), 2.6),
        (("spec", "rayClusterSpec", "headGroupSpec", "rayStartParams"), {"num-cpus": 0}),
        (("spec", "rayClusterSpec", "workerGroupSpecs", 0, "minReplicas"), -1),
        (("spec", "rayClusterSpec", "workerGroupSpecs", 0, "template", "spec", "volumes"), []),
        (("apiVersion",), "ray.io/v1alpha1"),
        (("metadata",), {}),
    ],
)
def test_a_mistake_in_it_would_be_found(path: tuple[str | int, ...], value: object) -> None:
    wrong: Any = manifest()
    place: Any = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        RayJob.model_validate(wrong)
