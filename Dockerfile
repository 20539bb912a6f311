# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/forestall
COPY requirements/run.txt requirements/run.txt
RUN /opt/forestall/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY config config
COPY detectors detectors
COPY notifier notifier
COPY monitor monitor
RUN /opt/forestall/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .
# The kernels compile once here instead of at the first start of every container.
ENV NUMBA_CACHE_DIR=/opt/forestall/kernels
RUN /opt/forestall/bin/forestall doctor --warm

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/forestall --create-home forestall
COPY --from=build --chown=forestall /opt/forestall /opt/forestall
ENV PATH=/opt/forestall/bin:$PATH \
    NUMBA_CACHE_DIR=/opt/forestall/kernels \
    FORESTALL_DATA_DIR=/var/lib/forestall \
    FORESTALL_HTTP__HOST=0.0.0.0
USER forestall
WORKDIR /var/lib/forestall
VOLUME /var/lib/forestall
EXPOSE 8787
HEALTHCHECK --interval=15s --timeout=3s --start-period=60s --retries=3 \
    CMD ["forestall", "status", "--health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["forestall"]
CMD ["run"]
