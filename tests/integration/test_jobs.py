"""A job of the platform is run by the real processes, in a process of its own."""

from typing import Any

from tests.integration.stack import Stack
from tests.integration.waiting import poll


def test_a_run_by_hand_ends_in_a_process_of_its_own_and_its_log_is_readable(stack: Stack) -> None:
    job = next(job for job in stack.http.get("/api/jobs/").json() if job["task"] == "configcenter.forget_old_releases")
    answer = stack.http.post(f"/api/jobs/{job['id']}/run/", {"parameters": {"keep_days": 400}})
    assert answer.status == 201, answer.data
    address = f"/api/jobs/runs/{answer.json()[0]['id']}/"

    def run() -> dict[str, Any]:
        found: dict[str, Any] = stack.http.get(address).json()
        return found

    poll(lambda: run()["state"] not in ("waiting", "running"), progress=lambda: run()["state"], reason=run)
    assert (run()["state"], run()["is_stoppable"], run()["parameters"]) == ("succeeded", False, {"keep_days": 400})
    assert stack.http.get(f"{address}log/").json()["is_open"] is False
    listed = stack.http.get(f"/api/jobs/{job['id']}/runs/?state=succeeded").json()["results"]
    assert run()["id"] in [each["id"] for each in listed]
