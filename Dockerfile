# docker build -t pipetest .
# docker run -v ${PWD}:/db -e PIPETEST_PIEPEDRIVE_COMPANY_NAME=… -e PIPETEST_PIEPEDRIVE_API_KEY=… -p 8080:8080 pipetest

FROM python:3.13-slim AS build
WORKDIR /source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/build.txt requirements/run.txt requirements/
RUN pip install --require-hashes -r requirements/build.txt \
    && pip wheel --wheel-dir /wheels --require-hashes -r requirements/run.txt
COPY setup.py pyproject.toml README.md LICENSE ./
COPY twisted twisted
COPY pipetest pipetest
RUN pip wheel --wheel-dir /wheels --no-deps --no-build-isolation .
# The environment has no pip of its own: nothing is to be installed into it later. twistd writes its list of plugins now,
# since the running container may write nowhere but to /db.
RUN python -m venv --without-pip /opt/pipetest \
    && pip --python /opt/pipetest install --no-index --no-deps /wheels/*.whl \
    && /opt/pipetest/bin/twistd --help >/dev/null

FROM python:3.13-slim
LABEL org.opencontainers.image.title="pipetest" \
      org.opencontainers.image.description="Every public gist of the GitHub users you follow becomes a deal in Pipedrive." \
      org.opencontainers.image.version="2.0.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim"
COPY --from=build /opt/pipetest /opt/pipetest
RUN install -d -o 1000 -g 1000 -m 0700 /db
# glibc would come to keep tens of megabytes that a long list has taken once: from a megabyte on it gives them back.
ENV PATH=/opt/pipetest/bin:$PATH \
    MALLOC_MMAP_THRESHOLD_=1048576 \
    PYTHONUNBUFFERED=1 \
    PIPETEST_LISTEN=tcp:8080 \
    PIPETEST_DATABASE_URL=tinydb:/db/db.json
USER 1000:1000
VOLUME /db
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s CMD ["python", "-Ic", \
    "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8080, timeout=4); c.request('GET', '/health'); exit(c.getresponse().status != 200)"]
ENTRYPOINT ["twistd", "--nodaemon", "--pidfile=", "pipetest"]
