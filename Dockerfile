# The server, for stdio (docker run -i … evolink-mcp) and for HTTP (docker run -p … evolink-mcp http --host 0.0.0.0 …).
# docs/deploy.md says how to build it and what of it was tried.
# The base has a tag here. The release workflow looks its digest up, builds with BASE=tag@digest, and labels the image.
ARG BASE=python:3.13-slim-bookworm
FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE CHANGELOG.md ./
COPY evolink_mcp ./evolink_mcp
RUN python -m venv --without-pip /opt/evolink \
    && python -m pip --python /opt/evolink/bin/python install --no-cache-dir --disable-pip-version-check \
       --constraint constraints.txt '.[redis,s3]'

FROM ${BASE}
ARG VERSION=unknown
LABEL org.opencontainers.image.title="evolink-mcp" \
      org.opencontainers.image.description="MCP server for making images and videos through the EvoLink gateway" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="python:3.13-slim-bookworm"
# TLS is verified against the system's certificates, the newest there are. pip has no more work here.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && python -m pip uninstall --yes --root-user-action=ignore pip \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin evolink
COPY --from=build /opt/evolink /opt/evolink
COPY manifests/deploy/healthcheck.py /opt/healthcheck.py
ENV PATH=/opt/evolink/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=4s --start-period=10s --retries=3 CMD ["python", "/opt/healthcheck.py"]
ENTRYPOINT ["evolink-mcp"]
CMD ["stdio"]
