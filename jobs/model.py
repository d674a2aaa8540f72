"""The seam to training: one MLflow model version, fetched by number."""

import os
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark import SparkFiles
from pyspark.sql import SparkSession

NAME, SENTIMENT = "recommender", "sentiment"
NO_CHAMPION = "none"  # what `python -m training champion` prints when there is none
JUDGED = "judge."  # prefix of the metrics that the judge logs to a version's run


@dataclass(frozen=True)
class Model:
    """A registered version: ``path`` is a local folder that holds the self-contained export."""

    version: str
    run_id: str
    path: str


def fetch(version: str | None, folder: str, name: str = NAME) -> Model:
    """Downloads the export of a registered version of the model ``name`` into ``folder``.

    Raises:
        ValueError: if no version is given or the registry has none of that number.
        ConnectionError: if MLflow does not answer.
    """
    if version in (None, NO_CHAMPION):
        raise ValueError(
            "lists need a model: pass --model-version; `python -m training champion` prints the champion's"
        )
    run_id = _registered(version, name).run_id
    import mlflow

    uri = _client().get_model_version_download_uri(name, version)
    return Model(version, run_id, mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))


def fetch_sentiment(version: str | None, folder: str) -> Model | None:
    """As :func:`fetch`, of the sentiment model; None where the night has none."""
    if version in (None, NO_CHAMPION):
        return None
    place = Path(folder) / f"{SENTIMENT}-{version}"
    place.mkdir()
    return fetch(version, str(place), SENTIMENT)


def judged(version: str) -> list[dict]:
    """What the judge measured on the held-out days, one ``{"name": who, "figures": {metric: value}}`` a contender.

    Raises:
        ValueError, ConnectionError: as :func:`fetch`.
    """
    told = _client().get_run(_registered(version).run_id).data.metrics
    contenders: dict[str, dict[str, float]] = {}
    for name, value in sorted(told.items()):
        if name.startswith(JUDGED):
            who, metric = name.removeprefix(JUDGED).split(".", 1)
            contenders.setdefault(who, {})[metric] = value
    return [{"name": who, "figures": figures} for who, figures in contenders.items()]


def record(day: date, version: str, metrics: dict[str, float], files: dict[str, str]) -> None:
    """Writes what a night made with a version to a run of the night's own, beside those of training.

    A rerun of the night writes the same run again.

    Args:
        metrics: by name.
        files: by name, their text.

    Raises:
        ValueError, ConnectionError: as :func:`fetch`.
    """
    client, trained = _client(), _registered(version).run_id
    place = client.get_run(trained).info.experiment_id
    known = client.search_runs([place], f"tags.stage = 'lists' and tags.day = '{day}'", max_results=1)
    tags = {"stage": "lists", "day": str(day), "model_version": version}
    run = known[0] if known else client.create_run(place, tags=tags, run_name=f"lists {day}")
    client.set_tag(run.info.run_id, "model_version", version)
    for name, value in metrics.items():
        client.log_metric(run.info.run_id, name, value)
    for name, text in files.items():
        client.log_text(run.info.run_id, text, name)
    client.set_terminated(run.info.run_id)


def _registered(version: str, name: str = NAME):
    """The registry's entry."""
    client = _client()
    import mlflow

    address = mlflow.get_tracking_uri()
    try:
        return client.get_model_version(name, version)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise ValueError(f"MLflow at {address} has no version {version!r} of model {name!r}") from error
        raise ConnectionError(f"MLflow at {address} does not answer: {error}") from error


def _client():
    """A client of MLFLOW_TRACKING_URI."""
    # a server that is down is reported after seconds, not after MLflow's default of minutes of retries
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    import mlflow  # 2 s to import, and most jobs never ask for a model

    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///var/mlflow.db"))
    return mlflow.MlflowClient()


def send(spark: SparkSession, folder: str) -> None:
    """Gives every executor of a cluster the export that lies in the driver's ``folder``."""
    if spark.sparkContext.master.split("[")[0] != "local":
        archive = shutil.make_archive(folder, "zip", folder)
        spark.sparkContext.addArchive(f"{archive}#{_sent(folder)}")


def local(folder: str) -> str:
    """Where that export lies on this machine: on the executors of a cluster it is what :func:`send` sent them."""
    return folder if Path(folder).is_dir() else SparkFiles.get(_sent(folder))


def _sent(folder: str) -> str:
    """The executors' name for the folder: two versions in one session must not meet."""
    return "-".join(Path(folder).parts[-2:])
