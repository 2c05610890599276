# Targets: operator and worker (what runs), sdk (what users build their own worker with), build (all of them).
#   docker build --target worker -t coho-worker:dev .       or, without Docker: hack/image
#
# COHO_CACHE keeps the libraries that hack/deps builds, and compiler results, from one build to the next.

FROM debian:bookworm-slim AS tools
ARG COHO_CACHE=/var/cache/coho
WORKDIR /src
COPY hack/deps hack/
COPY hack/lib/steps.sh hack/lib/
RUN --mount=type=cache,target=/var/cache/coho \
    apt-get update -q && hack/deps build && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb

FROM tools AS build
ARG COHO_CACHE=/var/cache/coho
COPY hack/build hack/
COPY hack/lib/image_root hack/lib/
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake cmake
COPY common common
COPY worker worker
COPY operator operator
RUN --mount=type=cache,target=/var/cache/coho \
    hack/build release && \
    cmake --install build/release --component sdk --prefix /out/sdk && \
    find /out/sdk/lib/coho -name '*.a' -exec strip --strip-debug {} + && \
    hack/lib/image_root /out/operator build/release/operator/coho-operator && \
    hack/lib/image_root /out/worker build/release/worker/coho-worker && \
    rm -rf build

FROM scratch AS operator
COPY --from=build /out/operator /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/coho-operator"]

# A worker with a user's own tasks: FROM this image, with their binary put in place of /usr/local/bin/coho-worker.
FROM scratch AS worker
COPY --from=build /out/worker /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/coho-worker"]

FROM tools AS sdk
COPY --from=build /out/sdk /usr/local
