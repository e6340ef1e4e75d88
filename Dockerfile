# syntax=docker/dockerfile:1
# The image for linux/amd64 and linux/arm64: docker buildx build --platform linux/amd64,linux/arm64 .
#
# Each platform is compiled by its own compiler. Without a container engine, hack/image.sh makes
# the same image from a binary that is there; it reads what the image is told below `FROM scratch`.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
ARG TARGETPLATFORM
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target,id=target-$TARGETPLATFORM \
    cargo build --locked --release --bin webhook-operator \
    && hack/rootfs.sh target/release/webhook-operator /rootfs

FROM scratch
LABEL org.opencontainers.image.title="webhook-operator"
LABEL org.opencontainers.image.description="Inbound webhooks for Kubernetes: verified, routed and carried to your app"
LABEL org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /rootfs/ /
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/webhook-operator"]
