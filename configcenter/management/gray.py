"""`manage.py config gray begin|widen|promote|abandon|status MODULE`: a release for some instances first."""

from collections.abc import Callable
from typing import Any

from accounts.services.audit import Actor
from configcenter import selectors
from configcenter.models import ConfigItem
from configcenter.services import releases
from configcenter.services.releases import NoGray

VERBS = ("begin", "widen", "promote", "abandon", "status")


def add_arguments(gray: Any) -> None:
    """Declare what the verb `gray` takes, besides the module."""
    gray.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="instances with it; may be given several times")
    gray.add_argument("--percent", type=int, default=0, help="of the other instances, 0 to 100")
    gray.add_argument("-m", "--comment", default="", help="why, for those who read the history")


def run(*, item: ConfigItem, options: dict[str, Any], by: Actor, say: Callable[[Any, str], None]) -> None:
    """Do what is asked with the gray release of an item, and print its state.

    Raises:
        NoGray: none is running. Otherwise as the services of the same names.
    """
    spread = {"labels": options["label"], "percent": options["percent"]}
    number, verb = 0, options["what"]
    if verb == "begin":
        number = releases.start_gray(item=item, content=None, comment=options["comment"], by=by, **spread).number
    elif verb == "widen":
        releases.widen_gray(item=item, by=by, **spread)
    elif verb in ("promote", "abandon"):
        steer = releases.promote_gray if verb == "promote" else releases.abandon_gray
        number = steer(item=item, comment=options["comment"], by=by).number
        text = "is in force everywhere" if verb == "promote" else "ends the gray release: all run what was in force before"
        say({"number": number}, f"Version {number} {text}.")
        return
    if item.gray is None:
        raise NoGray("No gray release of this item is running.")
    live = selectors.live_instances([item])
    taking = [each.id for each in live or [] if selectors.takes_part(each, item, labels=item.gray_labels, percent=item.gray_percent)]
    report = {
        "number": item.gray.number,
        "labels": item.gray_labels,
        "percent": item.gray_percent,
        "instances": None if live is None else len(live),
        "taking_part": None if live is None else taking,
    }
    audience = ", ".join([*item.gray_labels, *([f"{item.gray_percent} % of the others"] if item.gray_percent else [])])
    reach = (
        "Redis is unavailable: the state of the instances is unknown"
        if live is None
        else f"{len(taking)} of {len(live)} instances take part"
    )
    say(report, "\n".join([f"Gray release v{item.gray.number} for {audience}: {reach}.", *(f"  {name}" for name in taking)]))
