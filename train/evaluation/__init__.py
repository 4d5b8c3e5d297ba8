"""How good a network is: whole, sliding, in several sizes, with CRF. Trains nothing."""
