"""Peers as their authors publish them, run by file in an environment of their own (``installed.txt``).

python installed.py MODEL SPLIT.npz LISTS.npz SECONDS: reads a split, trains for at most SECONDS where the model can be
told so, and writes int64[users, 20] lists, "masked" and "unmasked".
"""

import logging
import sys
import warnings
from datetime import timedelta

import numpy as np

TOP = 20
FACTORS = 128  # of implicit's models
LENGTH = 50  # events of a history that SASRec reads, as in its published tables


def als(split: dict, seconds: float) -> dict[str, np.ndarray]:
    """Alternating least squares on logarithms of counts; users are folded in with what is known when asked."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(FACTORS, regularization=0.05, alpha=10.0, iterations=15, random_state=0)
    return _implicit(model, split, recalculate_user=True)


def bpr(split: dict, seconds: float) -> dict[str, np.ndarray]:
    """Bayesian personalised ranking."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        FACTORS, learning_rate=0.05, regularization=0.01, iterations=100, random_state=0
    )
    return _implicit(model, split)


def sasrec(split: dict, seconds: float) -> dict[str, np.ndarray]:
    """SASRec with the softmax over all items."""
    return _rectools({"loss": "softmax"}, split, seconds)


def esasrec(split: dict, seconds: float) -> dict[str, np.ndarray]:
    """eSASRec (RecSys'25): SASRec's objective, LiGR layers, sampled softmax with 256 negatives."""
    from rectools.models.nn.transformers.ligr import LiGRLayers

    chosen = {"loss": "sampled_softmax", "n_negatives": 256, "transformer_layers_type": LiGRLayers}
    return _rectools(chosen, split, seconds)


def _implicit(model, split: dict, **asking) -> dict[str, np.ndarray]:
    from scipy.sparse import csr_matrix

    def counts(part: str) -> csr_matrix:
        offsets, items = split[f"{part}_offsets"], split[f"{part}_items"]
        rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        found = csr_matrix((np.ones(len(items), np.float32), (rows, items)), (len(offsets) - 1, int(split["items"])))
        found.sum_duplicates()
        found.data = np.log1p(found.data)
        return found

    model.fit(counts("train"), show_progress=False)
    users, known = split["users"], counts("asked")[split["users"]]
    return {
        protocol: model.recommend(users, known, N=TOP, filter_already_liked_items=protocol == "masked", **asking)[0]
        for protocol in ("masked", "unmasked")
    }


def _rectools(chosen: dict, split: dict, seconds: float) -> dict[str, np.ndarray]:
    import pandas as pd
    from pytorch_lightning import Trainer
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    def dataset(part: str) -> Dataset:
        offsets, items = split[f"{part}_offsets"], split[f"{part}_items"]
        rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        order = pd.to_datetime(np.arange(len(items)), unit="s")  # the file's order, one second apart
        columns = {Columns.User: rows, Columns.Item: items, Columns.Weight: 1.0, Columns.Datetime: order}
        return Dataset.construct(pd.DataFrame(columns))

    def trainer() -> Trainer:
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        return Trainer(accelerator="auto", max_time=timedelta(seconds=seconds), max_epochs=100, **quiet)

    shape = {"n_blocks": 1, "n_heads": 2, "n_factors": 256, "dropout_rate": 0.5, "session_max_len": LENGTH}
    model = SASRecModel(**shape, **chosen, lr=1e-3, batch_size=128, get_trainer_func=trainer)
    model.fit(dataset("train"))
    known, users = dataset("asked"), split["users"]
    place = {user: row for row, user in enumerate(users)}
    lists = {}
    for protocol in ("masked", "unmasked"):
        found = model.recommend(
            users, known, k=TOP, filter_viewed=protocol == "masked", on_unsupported_targets="ignore"
        )
        lists[protocol] = np.full((len(users), TOP), -1, np.int64)
        lists[protocol][found[Columns.User].map(place), found[Columns.Rank] - 1] = found[Columns.Item]
    print("epochs", model.fit_trainer.current_epoch, file=sys.stderr)
    return lists


def main() -> None:
    name, source, target, seconds = sys.argv[1:]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with np.load(source) as split:
        lists = {"als": als, "bpr": bpr, "sasrec": sasrec, "esasrec": esasrec}[name](dict(split), float(seconds))
    np.savez(target, **lists)


if __name__ == "__main__":
    main()
