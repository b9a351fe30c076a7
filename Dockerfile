# Built where the builder runs and cross-compiled: no emulation for the other
# architecture.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src

COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/cambio ./cmd/cambio

# What the program needs of a system besides itself: trusted CAs for key URLs,
# a name for its user, and folders it may write to, for SQLite and its temporary
# files.
RUN mkdir -p /out/etc/ssl/certs /out/data /out/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
 && echo 'cambio:x:65532:65532:cambio:/var/lib/cambio:/sbin/nologin' > /out/etc/passwd \
 && echo 'cambio:x:65532:' > /out/etc/group

FROM scratch
COPY --from=build /out/etc /etc
COPY --from=build /out/cambio /cambio
COPY --from=build --chown=65532:65532 /out/tmp /tmp
COPY --from=build --chown=65532:65532 /out/data /var/lib/cambio

# Numeric, so that Kubernetes can see that it is not root.
USER 65532:65532
ENV HOME=/var/lib/cambio
WORKDIR /var/lib/cambio

# OAuth endpoints and admin API; metrics and health; metrics and health.
EXPOSE 8080 8081

# The program asks itself: there is no shell and no curl here.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["/cambio", "healthcheck"]

ENTRYPOINT ["/cambio"]
CMD ["serve"]
