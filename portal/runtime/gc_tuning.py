"""Keep Python's cycle collector out of the checks' way."""

import gc

THRESHOLDS = (10_000, 20, 1_000)


def tune_gc() -> None:
    """Once a process has all its parts, before it answers.

    A full collection over the modules and the schema takes 0.1 s, in which nobody is answered: what is there now stays
    to the end and is not looked at again. A check leaves no cycles, so the rest, the policies in memory above all, is
    looked at rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
