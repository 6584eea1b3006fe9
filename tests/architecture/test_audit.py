"""Every service that changes something says who did it: `by: Actor`, and nothing but services writes the audit trail."""

import ast
from pathlib import Path

from posthaste.env import ROOT
from tests.architecture.writers import APPS, service_modules, unnamed_writers

#: What writes without an actor, and why there is none to name.
ENGINE = "the platform's own work on messages that were accepted: no person or key decides about it"
CLOCKWORK = "a run that the clock or a named person started, and what becomes of it"
ALARMS = "the evaluator's own work on alarms: their rows say what it did"
CLEANING = "removes what has passed its age; a job"
READING = "reads only, by SQL of its own"
INSIDE = "part of a service's change, which names the actor: called in its transaction"
ASSIGNING = "follows from published rules and from what agents and customers do; each assignment is a row that says why"
LEVELS = "follows from published targets and calendars and from what customers and agents do; each warning and breach is a row"
ON_DEMAND = "an empty row that is made where it is first looked at"
BOT = "what the bot did about a customer's text: a turn is a row that says why"
FIGURES = "counts what customers did"
INTENTS = "the platform's own work on a version that was asked for, whose entry names the actor"
PAGE = "a page: it hands on to a service who asks"
FOLLOWS = "follows from what customers and agents did in a conversation or a ticket; each change is an event with its actor"
STRANGERS = "what customers write, and the platform's work on it: no person or key of a tenant decides about it"
WITHOUT_ACTOR = {
    "routing.intents.suggestions.collect_unsure_texts": "offers texts to people, who decide",
    "routing.intents.suggestions.suggest_correction": INSIDE,
    "routing.demo.inbox.load_inbox": "what customers and agents of the demo wrote and did; what agents did has entries of theirs",
    "routing.demo.history.load_history": "rows of a past that never was, for the demo of the command that names its actor",
    "routing.desk.reports.sending.send_due": CLOCKWORK,
    "routing.desk.reports.sending.send_due_reports": CLOCKWORK,
    "routing.intents.training.publish": INTENTS,
    "routing.intents.versions.remove_old_models": CLEANING,
    "routing.intents.training.publish_waiting": INTENTS,
    "routing.intents.training.sweep_training": INTENTS,
    "routing.intents.training_run.carry_out": INTENTS,
    "routing.intents.utterances.forget_lines": INSIDE,
    "accounts.services.audit.complete": "adds to an entry, which names its actor",
    "accounts.services.audit.redact": "removes details for a change that names its actor",
    "accounts.services.audit.withdraw": "takes back an entry of a change that was not made",
    "configcenter.services.changes.Change.release": INSIDE,
    "configcenter.services.changes.next_revision": INSIDE,
    "configcenter.services.erasing.erase_traces": INSIDE,
    "configcenter.services.erasing.overwrite_deleted": INSIDE,
    "configcenter.services.items.default_namespace": ON_DEMAND,
    "configcenter.services.items.find_namespace": ON_DEMAND,
    "configcenter.services.items.module_item": ON_DEMAND,
    "configcenter.services.items.modules_namespace": ON_DEMAND,
    "configcenter.services.releases.forget_old_releases": CLEANING,
    "configcenter.services.loading.Loader.load": READING,
    "configcenter.services.loading.Loader.save_snapshot": "writes a file of this host, so that a process starts without the database",
    "configcenter.services.tenants.remove_configuration": INSIDE,
    "jobs.registry.job": "declares a job in this process",
    "jobs.registry.run": "a run takes the lock of the one before it",
    "jobs.services.counting.run_counted": CLOCKWORK,
    "jobs.services.fence.check_run": "shows a run's token to the database",
    "jobs.services.fence.guarded_run": "shows a run's token to the database",
    "jobs.services.fence.overtake": "takes the next token for a run that begins or is over",
    "jobs.services.firing.Clock.fire_due": CLOCKWORK,
    "jobs.services.firing.fire": CLOCKWORK,
    "jobs.services.history.remove_old_runs": CLEANING,
    "jobs.services.plans.columns_of": INSIDE,
    "jobs.services.plans.declare_all": "writes what the code declares",
    "jobs.services.plans.reset_to_declaration": INSIDE,
    "jobs.services.publishing.publish": CLOCKWORK,
    "jobs.services.publishing.sweep": CLOCKWORK,
    "jobs.services.run_log.Writer.flush": CLOCKWORK,
    "jobs.services.supervisor.Supervisor.start_process": CLOCKWORK,
    "jobs.services.supervisor.Supervisor.watch": CLOCKWORK,
    "jobs.services.transitions.claim": CLOCKWORK,
    "jobs.services.transitions.finish": CLOCKWORK,
    "jobs.services.transitions.runs_of": "makes rows that its caller stores",
    "jobs.services.fence.check": "shows a lock's token to the database",
    "jobs.services.fence.check_current": "shows a lock's token to the database",
    "jobs.services.fence.guarded": "shows a lock's token to the database",
    "monitor.alarms.dispatch.follow_up": ALARMS,
    "monitor.alarms.dispatch.hand_over": ALARMS,
    "monitor.alarms.dispatch.write_notice": ALARMS,
    "monitor.alarms.dispatch.write_sent": ALARMS,
    "monitor.alarms.evaluator.Evaluator.run": ALARMS,
    "monitor.alarms.evaluator.Evaluator.take_turn": ALARMS,
    "monitor.alarms.evaluator.Evaluator.turn": ALARMS,
    "monitor.alarms.evaluator.start": ALARMS,
    "monitor.alarms.lease.Lease.hold": "notes which process evaluates the alarms",
    "monitor.alarms.store.delete_old": CLEANING,
    "monitor.alarms.store.save": ALARMS,
    "monitor.alarms.windows.tell": ALARMS,
    "messaging.channels.apprise.transport.GuardedSession.send": "changes an HTTP request that is about to be sent",
    "messaging.intake.repeats.make_once": "notes what a key made; what is made names its actor",
    "messaging.intake.accept.accept_batch": "what is accepted names its key itself; an entry a message would double the hot path",
    "messaging.intake.accept.accept_message": "what is accepted names its key itself; an entry a message would double the hot path",
    "messaging.intake.accept.write_group": "what is accepted names its key itself; an entry a message would double the hot path",
    "messaging.intake.accept.write_apart": "what is accepted names its key itself; an entry a message would double the hot path",
    "messaging.intake.idempotency.forget_idempotency_keys": CLEANING,
    "messaging.providers.editing.change_caps": "changes an object in memory, which `change_provider` stores",
    "messaging.queueing.backlog.waiting": READING,
    "messaging.queueing.forward.make_due": ENGINE,
    "messaging.queueing.settling.settle_batches": ENGINE,
    "messaging.receipts.receive.apply_all": ENGINE,
    "messaging.receipts.receive.apply_receipts": ENGINE,
    "messaging.statistics.rollups.forget": CLEANING,
    "messaging.statistics.rollups.forget_statistics": CLEANING,
    "messaging.statistics.rollups.roll_up": "adds up counters; a job",
    "messaging.statistics.rollups.roll_up_statistics": "adds up counters; a job",
    "messaging.storage.batches.reopen": ENGINE,
    "messaging.storage.batches.sweep": ENGINE,
    "messaging.storage.batches.take_back_cancelled": INSIDE,
    "messaging.storage.batches.take_back_paused": INSIDE,
    "messaging.storage.durations.of_batch": READING,
    "messaging.storage.in_progress.any_batch_is_open": READING,
    "messaging.storage.in_progress.any_message_is_taken": READING,
    "messaging.storage.in_progress.any_message_waits": READING,
    "messaging.storage.in_progress.count_queued": READING,
    "messaging.storage.in_progress.is_anything": READING,
    "messaging.storage.partitions.drop_before": CLEANING,
    "messaging.storage.partitions.forget_before": CLEANING,
    "messaging.storage.partitions.is_partitioned": READING,
    "messaging.storage.partitions.maintain": "makes the partitions of the days to come, and removes old ones; a job",
    "messaging.storage.partitions.maintain_partitions": "makes the partitions of the days to come, and removes old ones; a job",
    "messaging.storage.partitions.make_ahead": "makes the partitions of the days to come; a job",
    "messaging.storage.partitions.make_partition": "makes the partitions of the days to come; a job",
    "messaging.storage.partitions.partitions": READING,
    "messaging.storage.row_kinds.set_aside_others": "its audit entries name the job",
    "messaging.storage.store.claim": ENGINE,
    "messaging.storage.store.database_time": READING,
    "messaging.storage.store.insert_messages": ENGINE,
    "messaging.storage.store.move": ENGINE,
    "messaging.storage.store.reclaim": ENGINE,
    "messaging.storage.store.renew": ENGINE,
    "messaging.storage.store.write_outcomes": ENGINE,
    "messaging.storage.tallies.by_batch": READING,
    "messaging.storage.lost_content.clear_placeholders": "a step of sending a message again, which names its actor",
    "messaging.storage.tallies.by_channel": READING,
    "messaging.storage.tallies.by_latency": READING,
    "messaging.storage.tally_totals.add_up": "adds up counters; a job",
    "messaging.storage.tally_totals.forget_before": CLEANING,
    "messaging.storage.unreadable.read": ENGINE,
    "messaging.storage.unreadable.set_aside": ENGINE,
    "messaging.suppression.suppressions.listed": READING,
    "routing.customers.attributes.record": "what an entrance says of a customer; its entry names the source",
    "routing.customers.deriving.apply_rules": INSIDE,
    "routing.customers.deriving.derive_attributes": "applies rules that were published; a job",
    "routing.customers.identities.resolve": "a text that comes in makes its customer; a merge that follows has an entry",
    "routing.customers.identities.resolve_all": "a text that comes in makes its customer",
    "routing.customers.suggestions.suggest": "what a text that came in suggests; a person decides",
    "routing.customers.ticket_texts.erase": "a step of erasing a customer, which names its actor",
    "routing.desk.ticket_pages.new_ticket": PAGE,
    "routing.desk.ticket_pages.tickets": PAGE,
    "routing.tickets.closing.close_due": "closes what was resolved long enough ago; a job",
    "routing.tickets.closing.close_resolved": "closes what was resolved long enough ago; a job",
    "routing.tickets.opening.open_from_portal": STRANGERS,
    "routing.tickets.reactions.agent_answered": FOLLOWS,
    "routing.tickets.reactions.answers_came": FOLLOWS,
    "routing.tickets.reactions.conversations_moved": FOLLOWS,
    "routing.tickets.reactions.customers_wrote": FOLLOWS,
    "routing.tickets.reactions.forms_came": FOLLOWS,
    "routing.tickets.reactions.tell_parent": FOLLOWS,
    "routing.tickets.reactions.tell_watchers": FOLLOWS,
    "routing.tickets.storing.update": INSIDE,
    "routing.links.cleaning.remove_old_links": CLEANING,
    "routing.links.using.log": "notes a request of a recipient",
    "routing.links.using.take": "counts a use by a recipient; what it does has an entry",
    "routing.assignment.assigning.assign_waiting": ASSIGNING,
    "routing.assignment.attendance.beat": "notes that an agent is still there; what they choose has an entry",
    "routing.assignment.holding.first_response": ASSIGNING,
    "routing.assignment.moving.move_from_the_silent": ASSIGNING,
    "routing.assignment.moving.queue_of_the_absent": ASSIGNING,
    "routing.assignment.one_at_a_time.wait_for_turn": "takes a lock of the database",
    "routing.assignment.queueing.enqueue": ASSIGNING,
    "routing.assignment.queueing.overflow": ASSIGNING,
    "routing.assignment.queueing.reconsider": ASSIGNING,
    "routing.assignment.sweeping.reconcile": ASSIGNING,
    "routing.assignment.sweeping.reconcile_loads": ASSIGNING,
    "routing.assignment.taking.let_go": INSIDE,
    "routing.assignment.taking.take_conversations": INSIDE,
    "routing.assignment.taking.take_place": INSIDE,
    "routing.assignment.taking.take_places": INSIDE,
    "routing.assignment.taking.give_conversations": INSIDE,
    "routing.desk.cleaning.clean_desk": CLEANING,
    "routing.desk.cleaning.remove_old": CLEANING,
    "routing.desk.drafts.keep_draft": "what an agent has not sent yet; what becomes of it names its actor",
    "routing.desk.quick_replies.note_use": "counts a use; the reply names its actor",
    "routing.desk.reactions.tell_of_sides": STRANGERS,
    "routing.desk.snoozing.wake": "ends a snooze at the time that its entry names; a job",
    "routing.desk.snoozing.wake_due": "ends a snooze at the time that its entry names; a job",
    "routing.desk.states.end_columns": INSIDE,
    "routing.desk.states.open_again": INSIDE,
    "routing.desk.telling.mark_read": "an agent's own read mark",
    "routing.desk.telling.tell": "notices of what happened, which names its actor",
    "messaging.suppression.suppressions.suppress": "what a receipt or a rule puts on the list names its cause; people go by `add`",
    "messaging.webhooks.cleaning.remove_old_events": CLEANING,
    "messaging.webhooks.content.as_seen": READING,
    "messaging.webhooks.events.record": ENGINE,
    "messaging.webhooks.events.start_recording": INSIDE,
    "messaging.webhooks.figures.oldest_seconds": READING,
    "messaging.webhooks.figures.waiting": READING,
    "messaging.webhooks.figures.waiting_by_endpoint": READING,
    "messaging.webhooks.reading.read": READING,
    "messaging.webhooks.request.log": "notes a call; who asked for a test or a replay is named by the service",
    "messaging.webhooks.sender.Sender.serve": ENGINE,
    "messaging.webhooks.sequencer.sequence": ENGINE,
    "routing.conversations.arrivals.delete_done": CLEANING,
    "routing.conversations.arrivals.store": STRANGERS,
    "routing.conversations.attachments.delete_unsent": CLEANING,
    "routing.conversations.attachments.give": INSIDE,
    "routing.conversations.attachments.reserve": INSIDE,
    "routing.conversations.attachments.upload": "a file that no line names yet; a reply that names it names its actor",
    "routing.conversations.lines.append": INSIDE,
    "routing.conversations.lines.mark_read": "a read mark: who reads is not of interest",
    "routing.conversations.resolving.reopen": STRANGERS,
    "routing.entrances.portal.sessions.begin": STRANGERS,
    "routing.entrances.portal.sessions.begin_again": STRANGERS,
    "routing.demo.portal.load_ratings": "rows of the demo, whose command names itself",
    "routing.portal.articles.published": READING,
    "routing.portal.articles.vote": "counts what a reader says of an article",
    "routing.portal.devices.mail_link": "what a visitor asks for; the link's entry names them as a recipient",
    "routing.portal.devices.make_link": "what a visitor asks for; the link's entry names them as a recipient",
    "routing.satisfaction.asking.ask_about": "a step of rating a ticket, which a visitor does",
    "routing.satisfaction.asking.ask_after": "follows from resolving a conversation, whose entry names the actor",
    "routing.satisfaction.rating.rate": STRANGERS,
    "routing.assignment.history.delete_ended": CLEANING,
    "routing.entrances.portal.sessions.delete_expired": CLEANING,
    "routing.entrances.wecom_contact.welcome.delete_old": CLEANING,
    "routing.entrances.email.taking.release": ENGINE,
    "routing.entrances.email.taking.renew": ENGINE,
    "routing.entrances.email.taking.take_lease": ENGINE,
    "routing.entrances.email.taking.take_new": STRANGERS,
    "routing.entrances.wecom_contact.keeping.contact": STRANGERS,
    "routing.entrances.wecom_contact.keeping.tag": STRANGERS,
    "routing.entrances.wecom_contact.welcome.send_once": STRANGERS,
    "routing.entrances.wecom_kf.events.recalled": STRANGERS,
    "routing.entrances.wecom_kf.pulling.ask_wecom": STRANGERS,
    "routing.entrances.wecom_kf.pulling.pull": STRANGERS,
    "routing.entrances.wecom_kf.wanted.want": STRANGERS,
    "routing.bot.answering.answer": BOT,
    "routing.bot.answering.answer_waiting": BOT,
    "routing.bot.answering.give_up": BOT,
    "routing.bot.answering.write": BOT,
    "routing.bot.gate.take": BOT,
    "routing.bot.handing_over.hand_over": BOT,
    "routing.bot.opinions.note": "what a customer says of an answer",
    "routing.bot.reactions.step_back": "follows from an agent's reply, which has an entry",
    "routing.bot.sweeping.end_bot_talks": BOT,
    "routing.bot.sweeping.end_idle": BOT,
    "routing.faq.counting.note_answered": FIGURES,
    "routing.faq.counting.note_opinion": FIGURES,
    "routing.faq.counting.note_shown": FIGURES,
    "routing.faq.indexing.find_faq_vectors": "computes what is derived from published entries; a job",
    "routing.faq.indexing.index_missing": "computes what is derived from published entries",
    "routing.faq.published.note_change": INSIDE,
    "routing.processing.claiming.claim": STRANGERS,
    "routing.processing.claiming.fail": STRANGERS,
    "routing.processing.claiming.finish": STRANGERS,
    "routing.processing.claiming.finish_all": STRANGERS,
    "routing.processing.claiming.give_up_killers": STRANGERS,
    "routing.processing.claiming.postpone": STRANGERS,
    "routing.processing.claiming.release": STRANGERS,
    "routing.processing.claiming.renew": STRANGERS,
    "routing.processing.process.process_arrivals": STRANGERS,
    "routing.processing.process.sweep_arrivals": STRANGERS,
    "routing.processing.taking_in.conversation_of": STRANGERS,
    "routing.processing.taking_in.take_in": STRANGERS,
    "routing.processing.together.write": STRANGERS,
    "routing.calendars.importing.import_holidays": "a job that calls a service as the system, which the entry names",
    "routing.demo.service_levels.load_late": "writes what a customer of the demo wrote; the command has an entry",
    "routing.service_levels.running.settle_late": LEVELS,
    "routing.service_levels.running.stop": LEVELS,
    "routing.service_levels.running.store": LEVELS,
    "routing.service_levels.sweeping.recalculate": LEVELS,
    "routing.service_levels.sweeping.recalculate_clocks": LEVELS,
    "routing.service_levels.telling.tell": LEVELS,
}  # fmt: skip


def test_every_function_that_writes_takes_an_actor_or_has_a_reason_not_to() -> None:
    found = {f"{module}.{name}" for module, source in service_modules(ROOT) for name in unnamed_writers(source)}
    assert sorted(found - set(WITHOUT_ACTOR)) == []
    assert sorted(set(WITHOUT_ACTOR) - found) == []  # a reason that is not needed any more


SILENT_SERVICE = """
from django.db import connection
from messaging.models import Alarm
from posthaste.lib import locks

def create_alarm(*, name: str) -> None: Alarm.objects.create(name=name)
def snooze(alarm: Alarm) -> None: _store(alarm)
def _store(alarm: Alarm) -> None: alarm.save(update_fields=["until"])
def acknowledge(ids: list[int]) -> None: Alarm.objects.filter(pk__in=ids).update(is_open=False)
def clear() -> None: Alarm.objects.all().delete()
def squash() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM alarm WHERE id < %s", [7])
def unlock(name: str) -> None: locks.force_release(name)
def escalate(alarm: Alarm) -> None: notify(alarm=alarm, by=Actor.system("alarms"))
def enable_all() -> None: each(callback)
def untyped(alarm: Alarm, by: str) -> None: alarm.save()
class Alarms:
    def close(self) -> None: self._close()
    def _close(self) -> None: Alarm.objects.bulk_update([], ["is_open"])
def named(alarm: Alarm, by: Actor) -> None: alarm.save()
def read(kept: dict, client: Redis) -> dict:
    kept.update({"a": 1})
    client.delete("key")
    return kept
"""


def test_a_new_service_that_names_nobody_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "monitor" / "alarms"
    folder.mkdir(parents=True)
    (folder / "silence.py").write_text(SILENT_SERVICE)
    (folder / "models.py").write_text(SILENT_SERVICE)
    modules = dict(service_modules(tmp_path))
    assert list(modules) == ["monitor.alarms.silence"]
    assert unnamed_writers(modules["monitor.alarms.silence"]) == [
        "Alarms.close", "acknowledge", "clear", "create_alarm", "enable_all", "escalate", "snooze", "squash", "unlock", "untyped",
    ]  # fmt: skip


def test_no_entrance_writes_the_audit_trail_itself() -> None:
    wrong = []
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            parts = path.relative_to(ROOT).parts
            if not {"admin", "api", "console", "management", "nacos"} & set(parts) and path.name != "pages.py":
                continue
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            wrong += [str(Path(*parts)) for call in calls if ast.unparse(call.func) in ("audit.record", "audit.complete", "record")]
    assert wrong == []
