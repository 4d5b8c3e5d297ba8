"""From a folder of labelled pictures to a model file in one command: plans, then runs commands.

Knows nothing about how any of them works: each is typed, and can be typed alone.
"""
