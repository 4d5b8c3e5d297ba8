"""Scripts that print the numbers that pages quote; run as ``python -m benchmarks.<name>``.

Each explains its regime, measures both sides alternately in one run, quotes medians, and prints one
JSON line last.
"""
