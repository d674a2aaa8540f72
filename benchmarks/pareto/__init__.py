"""Lists of several objectives: how fast they are made, and how good they are."""
