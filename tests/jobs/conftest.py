"""Small frames of the lake's tables, a small table in a lake, and a model registry."""

from contextlib import contextmanager
from datetime import date, timedelta

import mlflow
import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

import schemas
from jobs.erased import Erased
from jobs.lake import Lake
from jobs.model import NAME
from jobs.staging import stage

USERS = schemas.table("raw.users")
FIRST, SECOND = date(2024, 5, 1), date(2024, 5, 2)


@pytest.fixture(scope="session")
def frame(spark):
    """``frame("raw.items", {"item_id": "apple"}, ...)``: rows of that table; columns left out are null."""

    def make(name, *rows):
        schema = StructType.fromDDL(schemas.table(name).ddl)
        return spark.createDataFrame(pa.Table.from_pylist(list(rows), to_arrow_schema(schema, timezone="UTC")), schema)

    return make


@pytest.fixture(autouse=True)
def no_pages(monkeypatch, tmp_path_factory):
    """Pages of tests, and of none of the shop's nights."""
    monkeypatch.setenv("NIGHT_PAGES", str(tmp_path_factory.getbasetemp() / "pages"))


@pytest.fixture
def lake(spark, tmp_path):
    return Lake(spark, str(tmp_path))


def people(spark, day, *names):
    return spark.createDataFrame([(day, name, {"age": "35-44"}) for name in names], USERS.ddl)


def put(lake, frame, day, run_id="run", table=USERS):
    """Publishes rows that break no rule, signed as the runner does."""
    about = {"day": day.isoformat(), "job": table.name, "run_id": run_id}
    judged = frame.selectExpr("*", *(f"CAST(null AS STRING) AS {name}" for name in ("_rule", "_reason", "_source")))
    with stage(judged, table, lake) as staged:
        staged.publish(day - timedelta(days=1), day, about, Erased.read(lake.uri))


def names(lake, **nights):
    return sorted(row["user_id"] for row in lake.read(USERS, **nights).collect())


@contextmanager
def registered(folder):
    """Yields a client, a run and a version of the model that is the run's ``export``, in a registry of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        client = mlflow.MlflowClient()
        run_id = client.create_run(client.create_experiment("nightly", (folder / "artifacts").as_uri())).info.run_id
        client.create_registered_model(NAME)
        yield client, run_id, str(client.create_model_version(NAME, f"runs:/{run_id}/export", run_id).version)
