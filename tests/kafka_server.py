"""A real Apache Kafka for tests: one KRaft node on free loopback ports, from the distribution in KAFKA_HOME.

`shared_kafka()` starts one for the whole run. With KAFKA_BOOTSTRAP_SERVERS set, tests that need no more than a running
Kafka use that one; those that kill, stop or configure it are skipped.
"""

import atexit
import base64
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "tocsin", "loud-bell"
MISSING = (
    "needs Apache Kafka: set KAFKA_HOME to an unpacked distribution (https://kafka.apache.org/downloads) and Java 17, "
    "then `make kafka` shows that it starts"
)
OWN_NEEDED = "needs a Kafka that the test may stop: unset KAFKA_BOOTSTRAP_SERVERS and set KAFKA_HOME"


class KafkaServer:
    """One node, broker and controller, with a PLAINTEXT and a SASL_SSL listener (PLAIN and SCRAM-SHA-256)."""

    def __init__(self, home: Path, directory: Path) -> None:
        self.home, self.directory = home, directory
        plain, secure, controller = free_port(), free_port(), free_port()
        self.port = plain
        self.bootstrap, self.secure_bootstrap = f"127.0.0.1:{plain}", f"127.0.0.1:{secure}"
        self.ca_file = directory / "ca.pem"
        keystore = directory / "server.pem"
        make_ca(self.ca_file, keystore)
        self._config = directory / "server.properties"
        self._config.write_text(_properties(plain, secure, controller, directory / "data", keystore))
        self._environment = os.environ | {"KAFKA_HEAP_OPTS": "-Xms128m -Xmx400m", "LOG_DIR": str(directory)}
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "x")
        scram = f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"
        self._storage("format", "--cluster-id", cluster, "--config", str(self._config), "--add-scram", scram)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.home / "bin" / "kafka-server-start.sh", self._config],
                start_new_session=True,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + 90
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("Kafka does not start:\n" + (self.directory / "log").read_text()[-3000:])
            time.sleep(0.1)

    def pause(self) -> None:
        """Stop its threads; returns when the last one stands still."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it; SIGKILL as a power cut would."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, number)
            self._process.wait(60)

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def _storage(self, *arguments: str) -> str:
        command = [str(self.home / "bin" / "kafka-storage.sh"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment, check=False)
        if done.returncode:
            raise RuntimeError(f"kafka-storage.sh {arguments[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip().splitlines()[-1]


def _properties(plain: int, secure: int, controller: int, data: Path, keystore: Path) -> str:
    login = "org.apache.kafka.common.security"
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{secure}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": keystore,
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 2,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 2,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 500,
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
        "log.initial.task.delay.ms": 100,
        "log.retention.check.interval.ms": 500,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def make_ca(ca_file: Path, keystore: Path) -> None:
    """A certificate authority, and a key and certificate for 127.0.0.1 that it signed, in PEM."""
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tocsin test CA")])

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(ca_name).public_key(public)
        made = made.serial_number(x509.random_serial_number())
        return made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=2))

    authority = builder(ca_name, ca_key.public_key()).add_extension(x509.BasicConstraints(True, 0), critical=True)
    server = builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]), key.public_key())
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    server = server.add_extension(address, critical=False)
    pem = serialization.Encoding.PEM
    plain = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    ca_file.write_bytes(authority.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    keystore.write_bytes(key.private_bytes(*plain) + server.sign(ca_key, hashes.SHA256()).public_bytes(pem))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@functools.cache
def shared_kafka() -> KafkaServer | None:
    """The server of this test run; None without KAFKA_HOME."""
    home = os.environ.get("KAFKA_HOME")
    if not home or not (Path(home) / "bin" / "kafka-server-start.sh").exists() or not shutil.which("java"):
        return None
    directory = tempfile.mkdtemp(prefix="kafka-")
    server = KafkaServer(Path(home).resolve(), Path(directory))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(server.stop)
    server.start()
    return server


def own_kafka() -> KafkaServer:
    """A Kafka that the test may kill; skips where there is none."""
    server = None if os.environ.get("KAFKA_BOOTSTRAP_SERVERS") else shared_kafka()
    if server is None:
        pytest.skip(OWN_NEEDED if os.environ.get("KAFKA_BOOTSTRAP_SERVERS") else MISSING)
    return server


@pytest.fixture(scope="session")
def kafka_bootstrap() -> str:
    """Address of a running Kafka; skips where there is none."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return given
    return own_kafka().bootstrap


@pytest.fixture
def kafka_server() -> KafkaServer:
    """A Kafka that the test may kill, if it starts it again."""
    return own_kafka()


def main() -> None:
    """Run one until Ctrl-C, for `make kafka`."""
    server = shared_kafka()
    if server is None:
        raise SystemExit("There is no Kafka in KAFKA_HOME, or no Java: it needs bin/kafka-server-start.sh and Java 17.")
    print(
        f"Apache Kafka is running. Use it with:  log: {{url: kafka://{server.bootstrap}}}\nCtrl-C ends it.", flush=True
    )
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


if __name__ == "__main__":
    main()
