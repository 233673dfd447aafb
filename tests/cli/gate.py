"""A gate before a server, as hosted Temporal has one: it speaks TLS, and may ask for a key or for a certificate."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY: Final = datetime.timedelta(days=1)

HOP_BY_HOP: Final = ("te", "content-type", "user-agent", "authorization", "grpc-timeout", "grpc-accept-encoding")

ANY_SIZE: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class Pair(NamedTuple):
    """A certificate and its key, as PEM files."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates, and writes them to a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        # Of today: a clock that is a little behind still takes it.
        self._now = datetime.datetime.now(datetime.UTC) - DAY / 2
        self._cert = self._sign(name, self._key, x509.BasicConstraints(ca=True, path_length=0), DAY)
        self.cert = self._write(name, self._cert.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, lasts: datetime.timedelta = DAY) -> Pair:
        """A certificate for this machine. A negative time makes one that is over."""
        key = ec.generate_private_key(ec.SECP256R1())
        here: Sequence[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        cert = self._sign(name, key, x509.SubjectAlternativeName(here), lasts)
        plain = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = cert.public_bytes(serialization.Encoding.PEM)
        return Pair(self._write(f"{name}-cert", public), self._write(f"{name}-key", plain))

    def _sign(
        self, name: str, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType, lasts: datetime.timedelta
    ) -> x509.Certificate:
        until = self._now + lasts
        return (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(self._now, until - DAY))
            .not_valid_after(until)
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self._key, hashes.SHA256())
        )

    def _write(self, name: str, pem: bytes) -> Path:
        path = self._folder / f"{name}.pem"
        path.write_bytes(pem)
        return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Gate(grpc.GenericRpcHandler):
    """Lets calls through to a server that speaks plain text, for as long as the `async with` block lasts.

    Attributes:
        target: Where it listens, by the name that its certificate has.
        passed: How many calls it has let through.
    """

    def __init__(self, server: str, pair: Pair, *, key: str | None = None, clients: Path | None = None) -> None:
        self._inner, self._key = grpc.aio.insecure_channel(server, options=ANY_SIZE), key
        self._outer = grpc.aio.server(options=ANY_SIZE)
        self._outer.add_generic_rpc_handlers([self])
        credentials = grpc.ssl_server_credentials(
            [(pair.key.read_bytes(), pair.cert.read_bytes())],
            root_certificates=clients.read_bytes() if clients else None,
            require_client_auth=clients is not None,
        )
        self.target = f"localhost:{self._outer.add_secure_port('127.0.0.1:0', credentials)}"
        self.passed = 0

    async def __aenter__(self) -> Self:
        await self._outer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._outer.stop(grace=None)
        await self._inner.close()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._through(details.method))

    def _through(self, method: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._inner.unary_unary(method)

        async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            told = list(context.invocation_metadata() or ())
            if self._key is not None and ("authorization", f"Bearer {self._key}") not in told:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Request unauthorized.")
            self.passed += 1
            kept = [(name, value) for name, value in told if name not in HOP_BY_HOP]
            try:
                return await ask(request, metadata=kept, timeout=context.time_remaining())
            except grpc.aio.AioRpcError as error:
                trailing = tuple(error.trailing_metadata() or ())
                await context.abort(error.code(), error.details() or "", trailing)
                raise

        return answer
