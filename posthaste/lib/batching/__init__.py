"""Batching: callers hand in items one at a time, and what has gathered is handled together.

A batch costs one commit, one round trip or one change of threads where its items would cost one each. Its size follows the load
automatically: while one batch is handled the next one gathers, so a lone caller waits for nothing and sixty-four callers share one
commit (DeWitt et al., "Implementation techniques for main memory database systems", 1984, section 5).

Who handles a batch:

* `Batcher`: threads of its own. One thread, where batches must not overlap (the writer of a group commit); a few, where a slow item
  must not hold up all others.
* `Combiner`: the first caller, and then one of those that came meanwhile ("flat combining", Hendler et al., SPAA 2010). No other
  thread takes part, so a lone caller pays for no change of threads at all.

How a caller gets its outcome: it waits in its thread (`submit`), passes a callback (`post`), or awaits a future (`submit_async`). An
event loop is woken once for all outcomes that are ready, not once for each.

What if it fails: an error is the outcome of the items it concerns, and the next batch is handled as usual. After a fork the child
starts with an empty queue and threads of its own; what the parent had queued stays with the parent.
"""

from posthaste.lib.batching.batcher import Batcher, Combiner
from posthaste.lib.batching.handlers import Handler, one_by_one, together
from posthaste.lib.batching.tickets import TimedOut

__all__ = ["Batcher", "Combiner", "Handler", "TimedOut", "one_by_one", "together"]
