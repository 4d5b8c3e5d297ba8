"""Tables and figures of finished runs: Markdown and PNG, and nothing else.

Reads what training, evaluation and benchmarks wrote (run folders, JSON files), never runs an
engine: latencies come from a file that ``benchmarks/league.py`` writes.

    runs.py        a run folder or a checkpoint          -> Run
    evaluation.py  an eval JSON, a log or a network      -> Evaluation
    cost.py        parameters, GFLOPs, a latency file    -> Cost
    entry.py       the three of one model, joined        -> Entry
    tables.py, training_tables.py                        Entries -> Table -> Markdown
    curves.py, classes.py, speed.py, pictures.py         Entries -> PNG (style.py: one look)
    document.py    all of it                             -> report.md
"""
