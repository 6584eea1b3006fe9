"""The evaluation of a version as its page shows it: figures, plots, and a table for each plot."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from posthaste.ui.templatetags.interface import percent, thousands
from routing.admin.wording import intent_titles
from routing.models import IntentModel

MAX_CONFUSIONS = 15


def report_of(model: IntentModel) -> dict[str, Any] | None:
    """Return what the page of a version shows of its evaluation, or None where there is none."""
    found: dict[str, Any] = model.evaluation or {}
    if "accuracy" not in found:
        return None
    titles = intent_titles([model.tenant_id])[model.tenant_id]
    found = _titled(found, titles)
    compared: dict[str, Any] = _titled(found.get("compared") or {}, titles)
    charts = [chart for chart in (_f1(found, compared), _confusions(found), _calibration(found), _coverage(found)) if chart["rows"]]
    return {
        "figures": _figures(found, compared),
        "charts": charts,
        "plots": {chart["name"]: chart["plot"] for chart in charts},
        "version": compared.get("version"),
        "is_measured_with_held_out": found.get("measured_with", "held_out") == "held_out",
        "texts": thousands(found.get("texts", 0)),
        "trained_with": thousands(found["trained_with"]) if "trained_with" in found else "",
        "seconds": found.get("seconds"),
    }


def _titled(found: dict[str, Any], titles: Mapping[str, str]) -> dict[str, Any]:
    """Return figures with the titles of intents in place of their short names, which stay where two have the same title."""
    number = Counter(titles.values())
    named = {name: title if number[title] == 1 else f"{title} ({name})" for name, title in titles.items()}
    shown = {part: [dict(one) for one in found.get(part, [])] for part in ("intents", "confusions")}
    for one in (*shown["intents"], *shown["confusions"]):
        for key in ("intent", "found"):
            if one.get(key):
                one[key] = named.get(one[key], one[key])
    return {**found, **shown}


def _figures(found: dict[str, Any], compared: dict[str, Any]) -> list[dict[str, str]]:
    scope, other_scope = found.get("out_of_scope") or {}, compared.get("out_of_scope") or {}
    lines = [
        (_("Accuracy"), _("Right intent, of all texts that have one"), found.get("accuracy"), compared.get("accuracy")),
        (_("Accuracy where sure"), _("Of those not rejected"), found.get("accepted_accuracy"), compared.get("accepted_accuracy")),
        (_("Mean F1"), _("Of all intents"), found.get("macro_f1"), compared.get("macro_f1")),
        (_("Out-of-scope recall"), _("Rejected, of the texts without an intent"), scope.get("recall"), other_scope.get("recall")),
        (_("False rejections"), _("Of the texts with an intent"), scope.get("false_rejections"), other_scope.get("false_rejections")),
    ]  # fmt: skip
    error = (found.get("calibration") or {}).get("error")
    lines.append((_("Calibration error"), _("How far confidence and accuracy differ on average"), error, None))
    return [
        {"label": label, "help": told, "value": _share(own), "other": _share(other) if other is not None else ""}
        for label, told, own, other in lines
    ]


def _f1(found: dict[str, Any], compared: dict[str, Any]) -> dict[str, Any]:
    others = {one["intent"]: one["f1"] for one in compared.get("intents", [])}
    ranked = sorted((one for one in found.get("intents", []) if one.get("texts")), key=lambda one: (one["f1"], one["intent"]))
    return {
        "name": "f1",
        "title": _("F1 of each intent"),
        "size": "tall" if len(ranked) > 12 else "",
        "heads": [_("Intent"), _("F1"), _("Precision"), _("Recall"), _("Texts"), *([_("F1 of the other version")] if others else [])],
        "rows": [
            [one["intent"], *(_share(one[name]) for name in ("f1", "precision", "recall")), thousands(one["texts"])]
            + ([_share(others.get(one["intent"]))] if others else [])
            for one in ranked
        ],
        "plot": {
            "names": [one["intent"] for one in ranked],
            "values": [one["f1"] for one in ranked],
            "others": [others.get(one["intent"]) for one in ranked] if others else [],
        },
    }


def _confusions(found: dict[str, Any]) -> dict[str, Any]:
    pairs = found.get("confusions", [])[:MAX_CONFUSIONS]
    named = [(one["intent"], one["found"] or _("rejected"), one["texts"]) for one in pairs]
    return {
        "name": "confusions",
        "title": _("What is taken for what"),
        "size": "tall" if len(pairs) > 8 else "",
        "heads": [_("Intent"), _("Recognized as"), _("Texts")],
        "rows": [[intent, taken, thousands(number)] for intent, taken, number in named],
        "plot": {"names": [f"{intent} → {taken}" for intent, taken, _number in named], "values": [number for *_names, number in named]},
    }


def _calibration(found: dict[str, Any]) -> dict[str, Any]:
    bins = [one for one in (found.get("calibration") or {}).get("bins", []) if one["texts"]]
    return {
        "name": "calibration",
        "title": _("Calibration: how sure, and how often right"),
        "size": "",
        "heads": [_("Confidence"), _("Mean confidence"), _("Right"), _("Texts")],
        "rows": [
            [
                f"{round(100 * one['from'])}–{round(100 * one['to'])} %",
                _share(one["confidence"]),
                _share(one["accuracy"]),
                thousands(one["texts"]),
            ]
            for one in bins
        ],
        "plot": {"points": [[one["confidence"], one["accuracy"], one["texts"]] for one in bins]},
    }


def _coverage(found: dict[str, Any]) -> dict[str, Any]:
    curve = found.get("coverage", [])
    return {
        "name": "coverage",
        "title": _("Accuracy of the surest texts"),
        "size": "",
        "heads": [_("Surest texts"), _("Right"), _("Least confidence")],
        "rows": [[f"{one['percent']} %", _share(one["accuracy"]), _share(one["confidence"])] for one in curve],
        "plot": {"points": [[one["percent"], one["accuracy"]] for one in curve]},
    }


def _share(value: float | None) -> str:
    return percent(None if value is None else round(100 * value, 1))
