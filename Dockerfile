# The registry as an image: docs/containers.md. It is for amd64 or arm64; programs run in the first stage alone, which is
# of the machine that builds it. So the image of the other architecture needs no emulator.
#
#   docker build -t stowage .
#   docker build -t stowage --platform linux/arm64 .

# Node with npm, to build the program.
ARG BUILD_BASE=node:24-bookworm-slim
# What the image is made on: Debian, or anything else with glibc 2.35 or newer and setpriv.
ARG BASE=debian:bookworm-slim

# Without BuildKit, neither BUILDPLATFORM nor TARGETARCH is set: the image is for the machine that builds it.
FROM --platform=${BUILDPLATFORM:-linux} ${BUILD_BASE} AS build
WORKDIR /build
COPY . .
RUN npm ci --no-audit --no-fund && npm run --silent package && mkdir /empty
ARG TARGETARCH
RUN node scripts/release/tree.ts ${TARGETARCH} \
 && mv dist/tree/* /opt/stowage \
 && ln -s ../main.js /opt/stowage/bin/stowage

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Stowage" \
      org.opencontainers.image.description="A container registry: OCI distribution, with access control, caching at the edge, and one directory of data" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/stowage /opt/stowage
# A new volume belongs to whom the folder belongs to.
COPY --from=build --chown=65532:65532 /empty /var/lib/stowage
# The root file system may be read-only; sockets are made in the one folder that is writable in any container.
ENV PATH=/opt/stowage/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    TMPDIR=/dev/shm
USER 65532:65532
VOLUME /var/lib/stowage
EXPOSE 5000
# Docker 20, which Debian 12 has, knows no --start-interval: so often that a start does not wait long for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["stowage", "health"]
ENTRYPOINT ["stowage"]
# The volume's own folder may be of root, or open to a group: the server makes the folder below it, for itself alone.
CMD ["serve", "--host", "0.0.0.0", "--data", "/var/lib/stowage/data"]
