"""`manage.py build_starting_model`: trains the model that Posthaste begins with. For those who change its texts; needs no database."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from routing.intents import starting
from routing.intents.fitting import CannotTrain
from routing.intents.labelled import BadFile
from routing.intents.vectors import UnknownEncoder


class Command(BaseCommand):
    help = "Trains the starting model of intent recognition from routing/intents/starting_set/*.csv and writes it there."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            built = starting.build(progress=lambda done, total, note: self.stderr.write(f"{done}/{total} {note}"))
        except (BadFile, CannotTrain, UnknownEncoder) as error:
            raise CommandError(str(error)) from error
        starting.write(built)
        self.stdout.write(f"{starting.FOLDER / starting.MODEL}: {len(built.content) / 1e6:.1f} MB")
        for name, found in built.evaluations.items():
            self.stdout.write(
                f"  {name}: best intent {found['forced_accuracy']:.2%}, with rejection {found['accuracy']:.2%}, "
                f"out-of-scope recall {found['out_of_scope']['recall'] or 0:.2%}, {found['texts']} texts held out"
            )
