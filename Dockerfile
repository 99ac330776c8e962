# The server as an image: SQLite in the volume /data unless --database names another.
#
#   docker build --tag tollkeeper .
#   docker run --publish 50051:50051 --volume tollkeeper:/data --volume ./tls:/tls:ro \
#     --env TOLLKEEPER_TLS_CERT=/tls/tls.crt --env TOLLKEEPER_TLS_KEY=/tls/tls.key tollkeeper
#
# It listens on every interface, so without a certificate it refuses to start (docs/how-to/operate/docker.md).
# With --build-arg EXTRAS= the image can serve and nothing else: the command line is not in it.

FROM python:3.11-slim AS build
# Pins what is installed, and what the wheel is built with.
ENV PIP_CONSTRAINT=/src/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
ARG EXTRAS=[cli]
COPY LICENSE README.md constraints.txt pyproject.toml ./
COPY server ./server
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /src/dist . \
    && python -m venv /opt/tollkeeper \
    && /opt/tollkeeper/bin/pip install --no-cache-dir "$(echo /src/dist/*.whl)$EXTRAS"

FROM python:3.11-slim
ENV PATH=/opt/tollkeeper/bin:$PATH PYTHONUNBUFFERED=1 \
    TOLLKEEPER_LISTEN=:50051 TOLLKEEPER_DATABASE=sqlite:////data/tollkeeper.db
RUN useradd --system --uid 10001 --no-create-home tollkeeper \
    && mkdir /data \
    && chown 10001 /data
COPY --from=build /opt/tollkeeper /opt/tollkeeper
WORKDIR /data
VOLUME /data
USER 10001
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-m", "tollkeeper.cli.health"]
# Exec form: the server is process 1, so SIGTERM reaches it and it drains.
ENTRYPOINT ["tollkeeper"]
CMD ["serve"]
