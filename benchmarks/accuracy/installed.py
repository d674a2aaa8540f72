"""Peers as their authors publish them, run by file in an environment of their own (``installed.txt``).

python installed.py MODEL SPLIT.npz LISTS.npz SECONDS: reads a split, trains for at most SECONDS (inf: as long as the
schedule is) where the model can be told so, and writes int64[users, 20] lists, "masked" and "unmasked".
"""

import logging
import sys
import warnings
from datetime import timedelta

import numpy as np

TOP = 20
FACTORS = 128  # of implicit's models
LENGTH = 50  # events of a history that SASRec reads, as in its published tables
# of eSASRec's whole schedule: when to stop is decided by recall@10 of so many users' validation events; figures of
# public configurations, one of which has a patience of 5
EPOCHS, PATIENCE, VALIDATED, CUTOFF = 100, 50, 2048, 10
RECALL = f"recall@{CUTOFF}"

ESASREC = {"loss": "sampled_softmax", "n_negatives": 256}


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

    return _rectools(ESASREC | {"transformer_layers_type": LiGRLayers}, split, seconds)


def esasrec_full(split: dict, seconds: float) -> dict[str, np.ndarray]:
    """The same for its whole schedule: it may stop early, and the weights of the best epoch make the lists."""
    from rectools.models.nn.transformers.ligr import LiGRLayers

    return _rectools(ESASREC | {"transformer_layers_type": LiGRLayers}, split, seconds, stops=True)


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


def _rectools(chosen: dict, split: dict, seconds: float, *, stops: bool = False) -> dict[str, np.ndarray]:
    import pandas as pd
    from pytorch_lightning import Trainer
    from pytorch_lightning.callbacks import EarlyStopping
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel
    from rectools.models.nn.transformers.utils import leave_one_out_mask

    def dataset(part: str, kept: np.ndarray | slice = slice(None)) -> Dataset:
        offsets, items = split[f"{part}_offsets"], split[f"{part}_items"]
        rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        order = pd.to_datetime(np.arange(len(items)), unit="s")  # the file's order, one second apart
        columns = {Columns.User: rows, Columns.Item: items, Columns.Weight: 1.0, Columns.Datetime: order}
        return Dataset.construct(pd.DataFrame(columns)[kept])

    def trainer() -> Trainer:
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        limit = timedelta(seconds=seconds) if np.isfinite(seconds) else None
        early = [_best(), EarlyStopping(RECALL, mode="max", patience=PATIENCE)] if stops else []
        return Trainer(
            accelerator="auto", max_time=limit, max_epochs=EPOCHS, callbacks=early, num_sanity_val_steps=0, **quiet
        )

    shape = {"n_blocks": 1, "n_heads": 2, "n_factors": 256, "dropout_rate": 0.5, "session_max_len": LENGTH}
    if stops:
        chosen = {**chosen, "get_val_mask_func": lambda events: leave_one_out_mask(events, np.arange(VALIDATED))}
    model = SASRecModel(**shape, **chosen, lr=1e-3, batch_size=128, get_trainer_func=trainer)
    model.fit(dataset("asked", _validated(split)) if stops else dataset("train"))
    known, users = dataset("asked"), split["users"]
    place = {user: row for row, user in enumerate(users)}
    lists = {}
    for protocol in ("masked", "unmasked"):
        found = model.recommend(
            users, known, k=TOP, filter_viewed=protocol == "masked", on_unsupported_targets="ignore"
        )
        lists[protocol] = np.full((len(users), TOP), -1, np.int64)
        lists[protocol][found[Columns.User].map(place), found[Columns.Rank] - 1] = found[Columns.Item]
    best = [f"{callback}" for callback in model.fit_trainer.callbacks if hasattr(callback, "recall")]
    print("epochs", model.fit_trainer.current_epoch, *best, file=sys.stderr)
    return lists


def _validated(split: dict) -> np.ndarray:
    """bool[events known when asked]: those of training, and of VALIDATED users the one after it, for validation."""
    kept = np.ones(len(split["asked_items"]), bool)
    kept[split["asked_offsets"][1 + VALIDATED :] - 1] = False
    return kept


def _best():
    """A callback of Lightning: tells RECALL of each epoch, of items new to the user, and keeps the best weights."""
    import torch
    from pytorch_lightning import Callback

    class Best(Callback):
        def __init__(self):
            self.hits, self.recall, self.epoch, self.weights = [], -1.0, 0, {}

        def __repr__(self) -> str:
            return f"best {self.epoch}, {RECALL} {self.recall:.4f}"

        def on_validation_batch_end(self, trainer, module, outputs, batch, *place) -> None:
            model = module.torch_model
            sessions = model.encode_sessions(batch, module.item_embs)[:, -1, :]
            scores = model.similarity_module(sessions, module.item_embs)
            new = scores.scatter(1, batch["x"], -torch.inf)
            self.hits.append((new.topk(CUTOFF).indices == batch["y"]).any(1))

        def on_validation_epoch_end(self, trainer, module) -> None:
            recall = torch.cat(self.hits).float().mean()
            self.hits.clear()
            module.log(RECALL, recall)
            if recall > self.recall:
                self.recall, self.epoch = float(recall), trainer.current_epoch + 1
                self.weights = {name: each.detach().clone() for name, each in module.state_dict().items()}

        def on_fit_end(self, trainer, module) -> None:
            module.load_state_dict(self.weights)

    return Best()


PEERS = {each.__name__: each for each in (als, bpr, sasrec, esasrec, esasrec_full)}


def main() -> None:
    name, source, target, seconds = sys.argv[1:]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with np.load(source) as split:
        lists = PEERS[name](dict(split), float(seconds))
    np.savez(target, **lists)


if __name__ == "__main__":
    main()
