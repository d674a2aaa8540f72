"""The torch half: fine-tune the language-model recommender with DeepSpeed, export it, judge it against the champion."""
