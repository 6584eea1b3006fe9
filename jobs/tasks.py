"""What the workers run of jobs: the runs themselves, and the removal of old ones."""

from jobs import registry
from jobs.services import counting, execution, history

__all__ = ["history"]  # declares the job that removes old runs

registry.executors.recorded = execution.carry_out
registry.executors.counted = counting.run_counted
