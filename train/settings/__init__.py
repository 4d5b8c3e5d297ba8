"""A recipe's tables whose owners stand above it, and their ranges. Knows nothing about TOML."""
