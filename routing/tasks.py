"""The tasks of the service desk. Its jobs are declared beside what they run, so their modules are imported here to be found.

A task loads nothing and decides nothing: it calls one service.
"""

from uuid import UUID

from jobs.registry import task
from posthaste.lib import queues
from routing.assignment import sweeping  # noqa: F401 - jobs
from routing.bot import answering, kicking
from routing.calendars import importing as holiday_importing  # noqa: F401 - a job
from routing.customers import deriving  # noqa: F401 - a job
from routing.desk import cleaning as desk_cleaning  # noqa: F401 - a job
from routing.desk import snoozing  # noqa: F401 - a job
from routing.desk.reports import sending  # noqa: F401 - a job
from routing.entrances.wecom_kf import pulling, sessions
from routing.faq import indexing
from routing.intents import suggestions, training, training_run, versions  # noqa: F401 - jobs
from routing.links import cleaning as link_cleaning  # noqa: F401 - a job
from routing.processing import cleaning, process  # noqa: F401 - jobs
from routing.service_levels import sweeping as clock_sweeping  # noqa: F401 - jobs
from routing.tickets import closing  # noqa: F401 - a job


@task("routing.process", queue=queues.AI)
def process_arrivals() -> None:
    """Take in what has arrived."""
    process.process_arrivals()


@task(kicking.TASK, queue=queues.AI)
def answer_as_bot() -> None:
    """Let the bot answer where customers wait for it."""
    answering.answer_waiting()


@task(indexing.TASK, queue=queues.AI)
def index_faq() -> None:
    """Compute what the search of published entries needs."""
    indexing.index_missing()


@task("routing.pull", queue=queues.AI)
def pull(entrance_id: str, open_kfid: str) -> None:
    """Fetch what customers wrote to an account of WeCom."""
    pulling.pull(UUID(entrance_id), open_kfid)


@task("routing.end_session", queue=queues.NOTIFICATION)
def end_session(conversation_id: str, looks: int = 0) -> None:
    """End the session of a resolved conversation in WeCom."""
    sessions.end_session(UUID(conversation_id), looks=looks)


@task(training.TASK, queue=queues.AI)
def train(model_id: str) -> None:
    """Train a version of an intent model that waits for it."""
    training_run.carry_out(model_id)
