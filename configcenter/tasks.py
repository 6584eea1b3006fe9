"""The jobs of the configuration are declared beside what they run; their modules are imported here to be found."""

from configcenter.services import releases  # noqa: F401 - a job
