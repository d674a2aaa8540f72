"""An Airflow of the tests' own, in a folder of its own: set before anything imports airflow."""

import os
import tempfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

HOME = tempfile.TemporaryDirectory(prefix="airflow-tests-")
os.environ["AIRFLOW_HOME"] = HOME.name
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(PROJECT / "dags")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW_CONN_SPARK_DEFAULT"] = '{"conn_type": "spark", "host": "local[1]"}'
os.environ["NIGHT_LAKE"] = str(Path(HOME.name, "lake"))
os.environ.setdefault("NIGHT_JARS", str(PROJECT / "var/jars"))


@pytest.fixture(scope="session")
def bag():
    """The DAGs as Airflow reads them from their folder."""
    from airflow.dag_processing.dagbag import BundleDagBag

    return BundleDagBag(PROJECT / "dags", bundle_path=PROJECT / "dags", bundle_name="tests")


@pytest.fixture(scope="session")
def nightly(bag):
    assert bag.import_errors == {}
    return bag.dags["nightly"]


@pytest.fixture(scope="session")
def weekly(bag):
    assert bag.import_errors == {}
    return bag.dags["training"]


@pytest.fixture(scope="session")
def steps(bag):
    """The module that both DAGs share; importable once Airflow has put its folder on the path."""
    import steps

    return steps
