"""The seam to training: one MLflow model version, fetched by number."""

import os
from dataclasses import dataclass

NAME = "recommender"


@dataclass(frozen=True)
class Model:
    """A registered version: ``path`` is a local folder that holds the self-contained export."""

    version: str
    run_id: str
    path: str


def fetch(version: str | None, folder: str) -> Model:
    """Downloads the export of a registered version into ``folder``.

    Raises:
        ValueError: if no version is given or the registry has none of that number.
        ConnectionError: if MLflow does not answer.
    """
    if version is None:
        raise ValueError(
            "lists need a model: pass --model-version; `python -m training champion` prints the champion's"
        )
    # a server that is down is reported after seconds, not after MLflow's default of minutes of retries
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    import mlflow  # 2 s to import, and most jobs never ask for a model
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///var/mlflow.db"))
    client = mlflow.MlflowClient()
    try:
        found = client.get_model_version(NAME, version)
        uri = client.get_model_version_download_uri(NAME, version)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise ValueError(
                f"MLflow at {mlflow.get_tracking_uri()} has no version {version!r} of model {NAME!r}"
            ) from error
        raise ConnectionError(f"MLflow at {mlflow.get_tracking_uri()} does not answer: {error}") from error
    return Model(version, found.run_id, mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
