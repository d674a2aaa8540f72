"""What can be said of the images and the compose file without a Docker engine: everything they name exists."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
DOCKER = PROJECT / "docker"


@pytest.fixture(scope="module")
def recipe() -> list[tuple[str, str]]:
    """(instruction, rest) of each line of the Dockerfile, continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.M)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def sources(recipe: list[tuple[str, str]]) -> list[str]:
    words = [rest.split() for instruction, rest in recipe if instruction == "COPY"]
    return [word for line in words for word in line[:-1] if not word.startswith("--")]


def test_every_copied_file_exists_and_is_let_into_the_build(recipe):
    let_in = re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), flags=re.M)
    copied = sources(recipe)
    assert [path for path in copied if not (PROJECT / path).exists()] == []
    assert {path.split("/")[0] for path in copied} == set(let_in)


def test_the_images_hold_every_package_that_the_distribution_installs(recipe):
    packages = {path.parent.name for path in PROJECT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages | {"dags"} <= set(sources(recipe))


def test_make_targets_of_the_images_exist(recipe):
    targets = {word for _, rest in recipe for word in re.findall(r"make (\S+)", rest)} - {"openjdk-17-jre-headless"}
    rules = re.findall(r"^([\w./]+):", (PROJECT / "Makefile").read_text(), flags=re.M)
    assert targets == {".venv/packages", "var/jars/stamp", ".venv/installed"}
    assert targets <= set(rules)


def test_every_image_that_compose_builds_is_a_target_of_the_dockerfile(recipe, compose):
    targets = {rest.split()[-1] for instruction, rest in recipe if instruction == "FROM"}
    built = {service["build"]["target"] for service in compose["services"].values() if "build" in service}
    assert built == {"airflow", "spark", "trainer"}
    assert built <= targets
    for service in compose["services"].values():
        if "build" in service:
            assert (DOCKER / service["build"]["context"]).resolve() == PROJECT
            assert (PROJECT / service["build"]["dockerfile"]).exists()
            assert service["image"] == f"nightly-{service['build']['target']}"


def test_services_wait_for_services_that_can_answer(compose):
    services = compose["services"]
    for name, service in services.items():
        waits = service.get("depends_on", {})
        for other in waits:
            assert other in services, f"{name} waits for {other}"
            condition = waits[other]["condition"] if isinstance(waits, dict) else "service_started"
            if condition == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for the health of {other}"
            if condition == "service_completed_successfully":
                assert services[other]["restart"] == "no", f"{other} would never complete"


def test_volumes_are_declared_and_mounted_files_exist(compose):
    for name, service in compose["services"].items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            there = (DOCKER / source).exists() if source.startswith(".") else source in compose["volumes"]
            assert there, f"{name} mounts {source}"


def test_every_port_is_open_on_loopback_only(compose):
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_secret_has_a_line_in_the_example_and_none_has_a_value():
    asked = re.findall(r"\$\{(\w+):\?", (DOCKER / "compose.yaml").read_text())
    example = dict(re.findall(r"^(\w+)=(.*)$", (DOCKER / "example.env").read_text(), flags=re.M))
    assert set(asked) == set(example)
    assert set(example.values()) == {""}


def test_the_lock_pins_what_pyproject_asks_for_by_hash_and_names_no_address():
    lock = (PROJECT / "requirements.lock").read_text()
    assert "://" not in lock
    pins = re.findall(r"^([a-z0-9-]+)==\S+(.*(?:\n {4}--hash=\S+.*)+)", lock, flags=re.M)
    assert len(pins) == len(re.findall(r"^[a-z0-9-]+==", lock, flags=re.M))
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    names = {re.match(r"[\w-]+", line)[0].lower() for line in asked}
    assert names - {name for name, _ in pins} == set()
