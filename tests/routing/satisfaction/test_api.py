"""Ratings over the API and in the admin."""

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Tenant
from routing.satisfaction import rating
from tests.builders import Api, json_of
from tests.routing.builders import make_entrance
from tests.routing.satisfaction.builders import make_agent, make_asked_for

pytestmark = pytest.mark.django_db


def test_ratings_are_listed_filtered_kept_as_a_file_and_added_up(tenant: Tenant, api: Api) -> None:
    entrance, lin = make_entrance(tenant), make_agent(tenant)
    good, unanswered = make_asked_for(entrance, agent=lin), make_asked_for(entrance)
    rating.rate(good.pk, score=5, comment="=cmd()", now=timezone.now())
    make_asked_for(make_entrance())  # another tenant's

    def listed(**query: Any) -> list[str]:
        return [row["id"] for row in json_of(api.get("/api/satisfaction/", **query))["results"]]

    assert set(listed()) == {str(good.pk), str(unanswered.pk)}
    assert listed(answered="true") == listed(score="5") == listed(agent=str(lin.pk)) == [str(good.pk)]
    assert listed(answered="false") == [str(unanswered.pk)]
    file = b"".join(api.get("/api/satisfaction/export/", answered="true").streaming_content).decode()
    assert (file.count("\n"), "'=cmd()" in file, "Lin" in file) == (2, True, True)
    [figure] = [one for one in json_of(api.get("/api/satisfaction/figures/", by="agent"))["results"] if one["key"]]
    assert (figure["key"], figure["average"], figure["satisfied_percent"]) == (str(lin.pk), 5.0, 100.0)
    assert api.get("/api/satisfaction/figures/", time_zone="Mars").status_code == 422


def test_staff_see_the_ratings_of_their_tenants(admin_client: Any) -> None:
    asked = make_asked_for(make_entrance())
    rating.rate(asked.pk, score=2, comment="Too slow", now=timezone.now())
    page = admin_client.get(reverse("admin:routing_satisfaction_changelist")).content.decode()
    assert ("2 of 5 · Bad" in page, "Too slow" in page) == (True, True)
    assert admin_client.get(reverse("admin:routing_satisfaction_change", args=[asked.pk])).status_code == 200
