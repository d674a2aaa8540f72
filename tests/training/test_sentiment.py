"""The sentiment model, from the lake's reviews to the export that jobs read."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from jobs.catalogue.opinions import Opinions
from tests.training.launcher import checkpoints, curve, fork, the_run
from tests.training.test_reviews import rated, write_reviews
from training.parts import Sentiment

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def learner(tiny):
    plan = Sentiment(
        steps=12, warmup=2, texts=8, max_tokens=8, tuned_layers=None, lr=3e-3, head_lr=3e-2, checkpoint_every=4
    )
    return replace(tiny, sentiment=plan)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, learner) -> tuple[Path, subprocess.CompletedProcess]:
    """A home in which the stage was killed at its ninth step, and started again."""
    home = tmp_path_factory.mktemp("sentiment")
    write_reviews(home / "lake", rated(120))
    fork(home, home / "lake", learner, stage="sentiment", KILL_BEFORE_STEP="9")
    return home, fork(home, home / "lake", learner, stage="sentiment")


def test_it_learns_is_measured_on_what_was_held_out_and_serves(trained):
    home, done = trained
    assert done.returncode == 0, done.stderr[-3000:]
    assert "after 8 steps" in done.stderr
    losses = [loss for _, loss in curve(home, "loss", "sentiment")]
    assert len(losses) == 12
    assert losses[-1] < 0.8 * losses[0]
    run = the_run(home, "sentiment")
    figures = run.data.metrics
    assert figures["held_out_accuracy"] == figures["held_out_macro_f1"] == 1.0  # a word of each text says it all
    assert figures["held_out_macro_f1_largest_class"] == pytest.approx(1 / 6)  # of three alike
    assert run.data.tags["delta_version.raw.reviews"] == "0"
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    champion = client.get_model_version_by_alias("sentiment", "champion")
    assert (champion.run_id, champion.source) == (run.info.run_id, f"runs:/{run.info.run_id}/export")


def test_its_export_speaks_for_itself(trained):
    home, _ = trained
    told = Opinions(str(checkpoints(home, "sentiment") / "model/export"))
    sure, classes = told.score(["milk 1 2", "bread", "soap " * 40, "很 好", "milk"])
    assert (classes[:3].tolist(), int(classes[4])) == ([2, 0, 1], 2)
    assert sure.sum(1) == pytest.approx(1, abs=1e-5)
    assert told.score([])[0].shape == (0, 3)
    with pytest.raises(ValueError, match="no such file; train the sentiment model again"):
        Opinions(str(home))


def test_a_recipe_of_ones_own_may_say_how(tmp_path: Path):
    from training.recipes import recipe

    path = tmp_path / "mine.json"
    path.write_text('{"name": "mine", "hardware": "cpu", "sentiment": {"steps": 9}}')
    assert recipe(str(path)).sentiment == Sentiment(steps=9)
