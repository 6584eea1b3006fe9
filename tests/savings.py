"""What a run of the tests would pay for thousands of times, and what no test looks at."""

from typing import Any

from django.contrib.auth.hashers import ScryptPasswordHasher
from django.contrib.staticfiles.handlers import StaticFilesHandler
from whitenoise.middleware import WhiteNoiseMiddleware

#: Scrypt's cost of a password, which takes a sixth of a second as Django sets it (2**14).
SCRYPT_COST = 2**4
_list_files = WhiteNoiseMiddleware.add_files_from_finders
_listed: dict[str, Any] = {}


def _add_files_once(self: Any) -> None:
    """Give each client of a test the static files that the first one found: they do not change while tests run."""
    if not _listed:
        _list_files(self)
        _listed.update(self.files)
    self.files.update(_listed)


def _leave_to_whitenoise(self: Any, path: str) -> bool:
    return False


def install() -> None:
    """Make them cheap in this process; the processes that a test starts are as they run for users."""
    WhiteNoiseMiddleware.add_files_from_finders = _add_files_once
    ScryptPasswordHasher.work_factor = SCRYPT_COST
    # The server of the browser's tests would look for each file in the folders of all apps; so WhiteNoise answers, as it does for users.
    StaticFilesHandler._should_handle = _leave_to_whitenoise  # type: ignore[method-assign]
