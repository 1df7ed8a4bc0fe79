"""Azurite over TLS, where it takes tokens instead of keys."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from local import azurite, node
from local.children import Children

_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at https://[\d.]+:(\d+)")
_START_SECONDS = 60


@dataclass(frozen=True)
class TlsStorage:
    """
    A storage account that believes tokens.

    Attributes:
        endpoints: URL of the account by service: ``Blob``, ``Queue``, ``Table``.
        certificate: File of the certificate that its clients must trust.
    """

    endpoints: Mapping[str, str]
    certificate: Path


def start(children: Children, run: Path) -> TlsStorage:
    """Start Azurite with its own certificate; ``--oauth basic`` looks at issuer and audience."""
    certificate, key = _certificate(run)
    found = node.find()
    if found is None or not azurite.is_installed():
        raise azurite.NotInstalled("Azurite is not installed: run `python -m local.azurite`")
    options = {"cert": certificate, "key": key, "oauth": "basic"}
    options |= {f"{service}Port": 0 for service in ("blob", "queue", "table")}
    command = [str(found.program), str(azurite.HOME / "node_modules/azurite/dist/src/azurite.js")]
    command += ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"]
    command += [f"--{name}={value}" for name, value in options.items()]
    child = children.start("azurite-tls", command, env=dict(os.environ), log=run / "log", cwd=run)
    child.wait_until(lambda: len(_LISTENING.findall(child.output())) == 3, seconds=_START_SECONDS)
    ports = dict(_LISTENING.findall(child.output()))
    return TlsStorage(
        {name: f"https://127.0.0.1:{port}/{azurite.ACCOUNT}" for name, port in ports.items()},
        certificate,
    )


def _certificate(run: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1, good for a day, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = run / "certificate.pem", run / "key.pem"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files[1].write_bytes(private)
    return files
