"""The pre-training objective: what is hidden, what is guessed, and which pairs are right."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.backbone import load_language_model, load_tokenizer
from training.corpus import Corpus
from training.language import NO_LABEL, TextObjective, Texts
from training.parts import Pretraining

PLAN = Pretraining(steps=1, texts=8, pack=8, masked=0.5)
MASK = 15


def texts(backbone: Path, mask: int | None = MASK, plan: Pretraining = PLAN, taught: np.ndarray | None = None) -> Texts:
    words = ["milk 1", "milk 2", "bread 3", "soap 4", "dairy 1", "dairy 2", "grain 3", "clean 4", "0 9"]
    pairs = np.array([[4, 0], [5, 1], [6, 2], [7, 3]])
    return Texts(Corpus(words, pairs, 0), load_tokenizer(str(backbone), 8), plan, mask=mask, seed=3, taught=taught)


def test_what_is_hidden_can_be_restored_from_the_labels(backbone: Path):
    drawn = texts(backbone).batch(np.array([[4, 0], [7, 3]]), np.array([8]), np.random.default_rng(0))
    guessed = drawn["labels"] != NO_LABEL
    assert guessed.any()
    assert (drawn["segment"][guessed] >= 0).all()
    whole = np.where(guessed, drawn["labels"], drawn["ids"])
    found = {tuple(whole[drawn["segment"] == segment]) for segment in range(5)}
    assert found == {(2, 6), (1, 6), (4, 9), (1, 9), (5, 14)}
    assert drawn["pairs"].tolist() == [[2, 0], [3, 1]]
    assert not (guessed & (drawn["ids"] == drawn["labels"])).all()


def test_shares_of_masked_and_replaced_tokens(backbone: Path):
    many = texts(backbone)
    drawn = [many.batch(np.zeros((0, 2), np.int64), np.arange(9), np.random.default_rng(seed)) for seed in range(400)]
    ids, labels = (np.concatenate([each[name].ravel() for each in drawn]) for name in ("ids", "labels"))
    guessed = labels != NO_LABEL
    assert guessed.sum() / (400 * 18) == pytest.approx(0.5, abs=0.03)
    assert (ids[guessed] == MASK).mean() == pytest.approx(0.8 + 0.1 / 16, abs=0.03)
    assert (ids[guessed] == labels[guessed]).mean() == pytest.approx(0.1 + 0.1 / 16, abs=0.02)


def test_a_decoder_guesses_the_next_token_of_the_same_text(backbone: Path):
    drawn = texts(backbone, mask=None).batch(np.zeros((0, 2), np.int64), np.array([0, 2]), np.random.default_rng(0))
    assert drawn["ids"].tolist() == [[2, 6, 3, 8]]
    assert drawn["labels"].tolist() == [[6, NO_LABEL, 8, NO_LABEL]]


def test_a_draw_depends_on_seed_step_and_shard_alone(backbone: Path):
    one, other = texts(backbone), texts(backbone)
    other.draw(0, 0)
    for name, array in one.draw(5, 1).items():
        assert np.array_equal(array, other.draw(5, 1)[name])
    assert any(not np.array_equal(one.draw(5, 0)[name], one.draw(5, 1)[name]) for name in ("ids", "labels"))


def test_pairs_that_share_a_text_are_not_set_against_each_other():
    assert Texts.apart(np.array([[0, 5], [1, 5], [2, 6], [0, 7]])).tolist() == [[0, 5], [2, 6]]


def objective(folder: Path, *, causal: bool = False, plan: Pretraining = PLAN, taught: int = 0) -> TextObjective:
    model = load_language_model(str(folder), masked=not causal)
    return TextObjective(model, plan, causal=causal, bfloat16=False, taught=taught)


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def test_packed_texts_give_the_loss_of_texts_in_rows_of_their_own(backbone: Path):
    model = objective(backbone)
    together = tensors(texts(backbone).batch(np.array([[4, 0], [7, 3]]), np.array([8]), np.random.default_rng(0)))
    rows = [together["segment"] == segment for segment in range(5)]
    apart = {name: torch.stack([together[name][row] for row in rows]) for name in ("ids", "labels", "position")}
    apart["segment"] = torch.arange(5)[:, None].expand(5, 2)
    assert together["ids"].shape[0] < 5
    torch.testing.assert_close(model(together), model({**apart, "pairs": together["pairs"]}))


def test_token_loss_by_hand(backbone: Path):
    model = objective(backbone)
    batch = tensors(texts(backbone).batch(np.zeros((0, 2), np.int64), np.array([0]), np.random.default_rng(0)))
    batch["labels"] = torch.tensor([[NO_LABEL, 6]])
    logits = model.model(input_ids=batch["ids"], attention_mask=torch.ones(1, 2)).logits[0, 1]
    whole, tokens, pairs, right = model(batch)
    torch.testing.assert_close(tokens, -logits.log_softmax(-1)[6])
    assert (whole.item(), pairs.item(), right.item()) == (tokens.item(), 0.0, 0.0)


def test_a_title_nearest_to_its_own_text_is_right(backbone: Path):
    model = objective(backbone)
    # two pairs of equal texts: each is nearest to itself
    batch = {"ids": [[2, 6, 3, 8, 2, 6, 3, 8]], "segment": [[0, 0, 1, 1, 2, 2, 3, 3]], "position": [[0, 1] * 4]}
    batch = {name: torch.tensor(rows) for name, rows in batch.items()}
    batch |= {"labels": torch.full((1, 8), NO_LABEL), "pairs": torch.tensor([[0, 2], [1, 3]])}
    _, tokens, loss, right = model(batch)
    assert (tokens.item(), right.item()) == (0.0, 1.0)
    batch["pairs"] = torch.tensor([[0, 3], [1, 2]])
    _, _, worse, wrong = model(batch)
    assert wrong.item() == 0.0
    assert worse > loss


def test_a_batch_holds_what_the_teacher_says_of_its_texts(backbone: Path):
    taught = np.arange(18, dtype=np.float32).reshape(9, 2)
    drawn = texts(backbone, taught=taught).batch(np.array([[4, 0], [7, 3]]), np.array([8]), np.random.default_rng(0))
    assert drawn["taught"].tolist() == [[0.0, 1.0], [6.0, 7.0], [8.0, 9.0], [14.0, 15.0], [16.0, 17.0]]


def test_the_teachers_loss_by_hand(backbone: Path):
    model = objective(backbone, plan=replace(PLAN, teacher_weight=3.0), taught=24)
    torch.testing.assert_close(model.match.weight, torch.eye(24, 16))
    batch = {"ids": torch.tensor([[2, 6, 3, 8, 4]]), "segment": torch.tensor([[0, 0, 1, 1, -1]])}
    batch |= {"position": torch.tensor([[0, 1, 0, 1, 0]]), "pairs": torch.zeros(0, 2, dtype=torch.long)}
    batch["labels"] = torch.tensor([[6, NO_LABEL, NO_LABEL, NO_LABEL, NO_LABEL]])
    states = model.model.base_model(input_ids=torch.tensor([[2, 6], [3, 8]])).last_hidden_state
    said = torch.cat([states.mean(1), torch.zeros(2, 8)], dim=1)  # the first of 24 dimensions are the student's
    whole, tokens, _, _, same = model({**batch, "taught": 5 * said})
    assert same.item() == pytest.approx(0.0, abs=1e-6)
    torch.testing.assert_close(whole, tokens, atol=1e-5, rtol=0)
    half = torch.stack([-said[0], said[1]])
    whole, tokens, _, _, apart = model({**batch, "taught": half})
    assert apart.item() == pytest.approx(1.0)  # opposite is 2, equal 0
    assert whole.item() == pytest.approx(tokens.item() + 3.0)


def test_the_teacher_is_matched_but_for_what_all_texts_share(backbone: Path):
    model = objective(backbone, taught=16)
    batch = {"ids": torch.tensor([[2, 6]]), "segment": torch.tensor([[0, 0]]), "position": torch.tensor([[0, 1]])}
    batch |= {"labels": torch.full((1, 2), NO_LABEL), "pairs": torch.zeros(0, 2, dtype=torch.long)}
    said = model.model.base_model(input_ids=batch["ids"]).last_hidden_state.mean(1)
    with torch.no_grad():
        model.match.bias.fill_(-2.0)
    assert model({**batch, "taught": said - 2.0})[4].item() == pytest.approx(0.0, abs=1e-6)


def test_a_causal_backbone_does_not_look_ahead(decoder: Path):
    model = objective(decoder, causal=True)
    batch = {"ids": torch.tensor([[2, 6, 3]]), "segment": torch.zeros(1, 3, dtype=torch.long)}
    batch |= {"position": torch.arange(3)[None], "pairs": torch.zeros(0, 2, dtype=torch.long)}
    batch["labels"] = torch.tensor([[6, NO_LABEL, NO_LABEL]])
    before = model(batch)
    batch["ids"] = torch.tensor([[2, 9, 4]])
    torch.testing.assert_close(model(batch), before)


def test_a_model_without_a_known_head(backbone: Path):
    with pytest.raises(ValueError, match="Linear has no head called cls or lm_head"):
        TextObjective(torch.nn.Linear(2, 2), PLAN, causal=False, bfloat16=False)
