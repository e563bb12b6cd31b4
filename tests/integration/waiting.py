"""The one place of the suite that sleeps: between two looks at a condition."""
import os
import time

# Sanitizer builds and busy machines need longer bounds, never longer conditions.
PATIENCE = float(os.environ.get("HOLDFAST_TEST_PATIENCE", "1"))
INTERVAL_S = 0.02


class NotYet(AssertionError):
    pass


def wait_until(pred, what, timeout=20.0, ignore=()):
    """The first true value of pred(). Exceptions in `ignore` count as "not yet"."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        last = None
        try:
            last = pred()
        except ignore as e:
            last = e
        else:
            if last:
                return last
        if time.monotonic() >= end:
            raise NotYet(f"not within {timeout * PATIENCE:g} s: {what}; last seen: {last!r}"[:4000])
        time.sleep(INTERVAL_S)
