"""Python's cycle collector, set for a server: what was loaded at the start stays, and is not looked at again and again."""

import gc

YOUNG = 10_000  # objects made before the youngest are looked at; 700 is Python's value, meant for small programs


def expect_little() -> None:
    """Collect less often until `settle`: while modules are imported, hardly anything becomes garbage, and looking for it takes a tenth."""
    gc.set_threshold(YOUNG, 50, 100)


def settle() -> None:
    """Keep everything there is now out of all later collections, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
