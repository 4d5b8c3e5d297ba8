"""From a model file to an engine that is worth keeping: built, proven, let through or refused."""
