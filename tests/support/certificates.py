"""A certificate authority of the tests' own, and a certificate for `localhost` by it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificates:
    """Three PEM files: `authority`, `certificate`, `key`."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.certificate, self.key = (folder / f"{n}.pem" for n in ("authority", "certificate", "key"))
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)

        def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
            built = x509.CertificateBuilder().subject_name(subject).issuer_name(root_name).public_key(public)
            built = built.serial_number(x509.random_serial_number())
            return built.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))

        root = builder(root_name, root_key.public_key())
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        leaf = builder(name, key.public_key())
        leaf = leaf.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        pem = serialization.Encoding.PEM
        self.authority.write_bytes(root.sign(root_key, hashes.SHA256()).public_bytes(pem))
        self.certificate.write_bytes(leaf.sign(root_key, hashes.SHA256()).public_bytes(pem))
        plain = serialization.NoEncryption()
        self.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
