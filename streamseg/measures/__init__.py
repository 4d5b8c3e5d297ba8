"""How much of the picture each class is, over time: tables, events, plots. Sees no frames."""
