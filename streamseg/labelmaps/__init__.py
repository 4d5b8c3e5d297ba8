"""What is done with label maps besides drawing them. Knows nothing about engines and frames."""
