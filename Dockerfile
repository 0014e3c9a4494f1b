# WhichLayers in a container: the dashboard, or any other command of `whichlayers`.
#
#   docker build -t whichlayers .
#   docker run --rm -p 127.0.0.1:8501:8501 -v whichlayers:/data --shm-size=1g whichlayers
#   docker run --rm --gpus all -v whichlayers:/data -v "$PWD:/work" -w /work --shm-size=1g whichlayers run study.yaml
#
# --gpus all needs NVIDIA's container toolkit on the host; torch brings the CUDA libraries.
# --shm-size: Ray keeps 100 MB of objects in /dev/shm, where Docker's default is 64 MB.
FROM python:3.12-slim-bookworm

RUN apt-get update --quiet=2 \
 && apt-get install --quiet=2 --yes --no-install-recommends make procps >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 whichlayers \
 && mkdir /data \
 && chown whichlayers:whichlayers /data

WORKDIR /opt/whichlayers
RUN chown whichlayers:whichlayers /opt/whichlayers
USER whichlayers
COPY --chown=whichlayers:whichlayers pyproject.toml requirements.lock Makefile README.md ./
COPY --chown=whichlayers:whichlayers engine engine
COPY --chown=whichlayers:whichlayers dashboard dashboard
COPY --chown=whichlayers:whichlayers whichlayers whichlayers
COPY --chown=whichlayers:whichlayers tune_configs tune_configs
RUN make setup

ENV PATH=/opt/whichlayers/.venv/bin:$PATH \
    WHICHLAYERS_STORE=/data/results \
    WHICHLAYERS_CACHE=/data/cache
VOLUME /data
EXPOSE 8501
# Follows another port or path: -e WHICHLAYERS_PORT=... -e WHICHLAYERS_PREFIX=/layers hold for the dashboard and for this.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["whichlayers", "health"]
ENTRYPOINT ["whichlayers"]
# Inside a container every address is the container's own; -p above publishes the port to this machine alone. For others:
# -e WHICHLAYERS_SIGN_IN=FILE, which then holds for whoever comes.
CMD ["serve", "--host", "0.0.0.0", "--open-to-everybody"]
