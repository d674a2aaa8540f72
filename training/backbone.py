"""The language model that reads items' texts: any Hugging Face folder or name."""

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging


class TextEncoder(nn.Module):
    """Token ids and mask, int64[B, T] -> float32[B, E]: the mean of the backbone's last hidden states over a text."""

    def __init__(self, backbone: nn.Module, tuned_layers: int):
        super().__init__()
        self.backbone = backbone
        self.width = backbone.config.hidden_size
        backbone.requires_grad_(False)
        for layer in _layers(backbone)[-tuned_layers:] if tuned_layers else ():
            layer.requires_grad_(True)

    def forward(self, token_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.backbone(input_ids=token_ids, attention_mask=attention_mask).last_hidden_state.float()
        weights = attention_mask.unsqueeze(-1).float()
        return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def _layers(backbone: nn.Module) -> nn.ModuleList:
    """The backbone's stack of transformer layers, whatever its architecture calls it."""
    depth = backbone.config.num_hidden_layers
    for module in backbone.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise ValueError(f"backbone {type(backbone).__name__} has no stack of {depth} layers to tune")


def load_backbone(folder: str, tuned_layers: int) -> TextEncoder:
    """The backbone of that folder or hub name.

    Raises:
        ValueError: if it isn't one.
    """
    transformers_logging.disable_progress_bar()
    try:
        return TextEncoder(AutoModel.from_pretrained(folder, dtype=torch.float32), tuned_layers)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"backbone {folder!r} is no Hugging Face model (config.json with model_type, model.safetensors): {error}"
        ) from error


def load_tokenizer(folder: str, max_tokens: int) -> Tokenizer:
    """The backbone's tokenizer, cutting at ``max_tokens`` and padding to the longest of a batch.

    Raises:
        ValueError: if the folder has none.
    """
    try:
        pretrained = AutoTokenizer.from_pretrained(folder, use_fast=True)
        tokenizer = Tokenizer.from_str(pretrained.backend_tokenizer.to_str())
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"backbone {folder!r} has no fast tokenizer (tokenizer.json): {error}") from error
    tokenizer.enable_truncation(max_tokens)
    pad = pretrained.pad_token or pretrained.eos_token
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(pad), pad_token=pad)
    return tokenizer


def tokenise(tokenizer: Tokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and attention mask, int64[B, T], T the longest of these texts."""
    encodings = tokenizer.encode_batch(texts)
    ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
    return ids, np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
