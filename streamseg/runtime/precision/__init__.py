"""fp16 and int8, expressed in the graph of a model file. Knows nothing about engines and caches."""
