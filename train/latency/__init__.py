"""How long a network takes in PyTorch, trained or not. Knows no data and no deployed engine."""
