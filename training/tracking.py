"""MLflow: where runs go, which run a day has, and which version is champion."""

import os
from datetime import date
from pathlib import Path

# before mlflow reads them: an unreachable server is one error within seconds, not minutes of retries
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

EXPERIMENT = "nightly"
MODEL, SENTIMENT = "recommender", "sentiment"
CHAMPION = "champion"
LOCAL = Path("var")


def connect() -> MlflowClient:
    """A client of MLFLOW_TRACKING_URI, or of var/mlflow.db where that is unset.

    Raises:
        ConnectionError: if it doesn't answer; the message names the address.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        LOCAL.mkdir(exist_ok=True)
        uri = f"sqlite:///{LOCAL / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    try:
        client.search_experiments(max_results=1)
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        raise ConnectionError(f"MLflow at {uri} can't be reached; check MLFLOW_TRACKING_URI: {reason}") from error
    return client


def experiment(client: MlflowClient) -> str:
    """The id of the experiment that holds every night's training, made when it isn't there."""
    known = client.get_experiment_by_name(EXPERIMENT)
    if known:
        return known.experiment_id
    served = os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http")  # a server has a place for artifacts
    return client.create_experiment(EXPERIMENT, None if served else (LOCAL / "mlartifacts").resolve().as_uri())


def start(client: MlflowClient, stage: str, run_id: str | None, tags: dict[str, str], params: dict) -> str:
    """The MLflow run of a stage of a night, which goes on where there is one already; its id.

    The stages of a recipe and day hang under one run of their own, so that the night reads as one.

    Args:
        tags: with ``day`` and ``recipe``; and with ``fold``, the fold's last day, where it's cross-validation that
            trains: the tag ``stage`` says so too, and what asks for the night's own runs doesn't find this one.
    """
    if run_id:
        client.update_run(run_id, status="RUNNING")
        return run_id
    stage = f"fold.{stage}" if "fold" in tags else stage
    name = f"{stage} {tags['recipe']} {tags.get('fold', tags['day'])}"
    tags = {**tags, "stage": stage, MLFLOW_PARENT_RUN_ID: _night(client, tags)}
    run = client.create_run(experiment(client), tags=tags, run_name=name)
    for key, value in params.items():
        client.log_param(run.info.run_id, key, value)
    return run.info.run_id


def _night(client: MlflowClient, tags: dict[str, str]) -> str:
    """The id of the run that holds those of a recipe's night."""
    where = f"tags.stage = 'night' and tags.recipe = '{tags['recipe']}' and tags.day = '{tags['day']}'"
    runs = client.search_runs([experiment(client)], where, max_results=1)
    if runs:
        return runs[0].info.run_id
    name = f"night {tags['recipe']} {tags['day']}"
    shared = {key: tags[key] for key in ("day", "recipe", "lake") if key in tags}
    run = client.create_run(experiment(client), tags={**shared, "stage": "night"}, run_name=name)
    client.set_terminated(run.info.run_id)  # it has no work of its own
    return run.info.run_id


def day_tags(day: date, night: date | None) -> dict[str, str]:
    """Whose night a stage belongs to, and which of the night's folds it is: ``night`` is None outside of folds."""
    return {"day": str(night), "fold": str(day)} if night else {"day": str(day)}


def trained_run(client: MlflowClient, recipe: str, day: date) -> Run | None:
    """The latest finished fine-tuning of that recipe and day."""
    runs = client.search_runs(
        [experiment(client)],
        f"tags.stage = 'finetune' and tags.recipe = '{recipe}' and tags.day = '{day}'"
        " and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    return runs[0] if runs else None


def champion(client: MlflowClient, model: str = MODEL) -> ModelVersion | None:
    """The model's version under the alias ``champion``, or None."""
    try:
        return client.get_model_version_by_alias(model, CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # no such model, no such alias
            return None
        raise


def register(client: MlflowClient, run_id: str, model: str = MODEL) -> ModelVersion:
    """The model version of a run's export, made when it isn't there."""
    if not client.search_registered_models(f"name = '{model}'"):
        client.create_registered_model(model)
    versions = client.search_model_versions(f"name = '{model}' and run_id = '{run_id}'")
    return versions[0] if versions else client.create_model_version(model, f"runs:/{run_id}/export", run_id)


def has_run(client: MlflowClient, run_id: str) -> bool:
    """Whether MLflow has that run, finished."""
    try:
        return client.get_run(run_id).info.status == "FINISHED"
    except MlflowException:
        return False


__all__ = [
    "CHAMPION",
    "MODEL",
    "SENTIMENT",
    "Metric",
    "champion",
    "connect",
    "day_tags",
    "experiment",
    "has_run",
    "register",
    "start",
    "trained_run",
]
