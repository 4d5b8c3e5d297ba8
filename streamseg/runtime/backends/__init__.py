"""One module per backend; each loads a model file and runs it. Imported only when used."""
