"""The pages of jobs, their runs, and locks."""

from jobs.pages import editing, locks, one_job, overview, runs

__all__ = ["editing", "locks", "one_job", "overview", "runs"]
