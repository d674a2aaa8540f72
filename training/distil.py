"""What a large language model says of the shop's texts, for a small one to learn."""

import deepspeed
import numpy as np
import torch

from training.backbone import load_backbone, load_tokenizer, tokenise
from training.corpus import Corpus
from training.recipe import Recipe
from training.texts import TextTable


def teach(corpora: tuple[Corpus, ...], recipe: Recipe) -> tuple[np.ndarray, ...]:
    """The encodings of each corpus' texts by ``recipe.pretraining.teacher``: float32[texts, E] each.

    Every rank must call this; they share the work. From all encodings the mean of the first corpus' is taken: what all
    texts share would drown what tells them apart.

    Raises:
        ValueError: if the teacher is no backbone.
    """
    folder, device = recipe.pretraining.teacher, deepspeed.accelerator.get_accelerator().current_device_name()
    encoder, tokenizer = load_backbone(folder).to(device).eval(), load_tokenizer(folder, recipe.max_tokens)
    told = []
    for corpus in corpora:
        table = torch.zeros(len(corpus.texts), encoder.width, device=device)
        if corpus.texts:
            TextTable(*tokenise(tokenizer, corpus.texts), bfloat16=recipe.bfloat16).encode(encoder, table)
        told.append(table)
    return tuple((table - told[0].mean(0)).cpu().numpy() for table in told)
