"""Labels that travel with what moves, so that the network need not see every frame.

Knows nothing about engines, videos or stages: pictures and labels in, labels out.
"""
