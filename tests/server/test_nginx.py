"""The configuration of docs/how-to/behind-a-proxy.md, run by a real nginx before a real UMS."""

import asyncio
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import structs
from sqlalchemy import select

from console.conftest import PASSWORD
from support.doors import Door, open_door
from ums.config import Settings
from ums.core.identity import operators
from ums.core.tables import sessions

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "behind-a-proxy.md"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
HOST = "ums.example.com"

pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx here")


@pytest.fixture
def dialect() -> str:
    return "sqlite"


def certify(folder: Path) -> None:
    """A certificate of our own, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))


def configuration(folder: Path, port: int, upstream: int) -> str:
    """The page's, with our ports and certificate."""
    [block] = re.findall(r"```nginx\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    block = block.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    block = block.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")
    keys = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"
    assert "# ssl_certificate ..." in block
    block = block.replace("# ssl_certificate ...", keys)
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/errors;\n"
    return f"{head}events {{}}\nhttp {{\naccess_log off;\n{paths}{block}}}\n"


@asynccontextmanager
async def nginx(folder: Path, port: int, upstream: int) -> AsyncIterator[httpx.AsyncClient]:
    certify(folder)
    (folder / "nginx.conf").write_text(configuration(folder, port, upstream))
    process = subprocess.Popen(
        [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", f"{folder}/errors"]
    )
    try:
        await listening(process, port)
        trust = ssl.create_default_context(cafile=str(folder / "cert.pem"))
        trust.check_hostname = False  # it is asked by its address
        async with httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{port}", verify=trust, trust_env=False, timeout=60
        ) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


async def listening(process: subprocess.Popen[bytes], port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            assert process.poll() is None, "nginx did not start"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)  # nginx tells nobody that it listens
                continue
            writer.close()
            return


def free() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


async def client_of(door: Door) -> str:
    async with door.system.database.read() as tx:
        [row] = await tx.rows(select(sessions))
        return row.address


@pytest.mark.parametrize("told", ["public URL", "proxy", "nothing"])
async def test_the_pages_configuration_works(settings: Settings, tmp_path: Path, told: str) -> None:
    port = free()
    url = f"https://{HOST}:{port}"
    if told == "public URL":
        settings = structs.replace(settings, public_url=url)
    elif told == "proxy":
        settings = structs.replace(settings, trusted_proxies="127.0.0.1")
    folder = tmp_path / "nginx"
    folder.mkdir()
    async with open_door(settings) as door, nginx(folder, port, door.port) as browser:
        await operators.create(door.system, "li", PASSWORD)
        headers = {"Host": f"{HOST}:{port}", "Origin": url, "X-Forwarded-For": "192.0.2.1"}
        form = {"name": "li", "password": PASSWORD}
        answer = await browser.post("/login", data=form, headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (303, "/home")
        secure = "secure" in answer.headers["set-cookie"].lower()
        assert secure == (told != "nothing")  # the scheme that people see
        assert ("strict-transport-security" in answer.headers) == (told == "public URL")
        assert await client_of(door) == "127.0.0.1"  # never what the client claims
        token = {"Authorization": f"Bearer {door.token}", **headers}
        assert (
            await browser.post("/local/channel.list", json={}, headers=token)
        ).status_code == 404
        evil = {**headers, "Origin": "https://evil.example"}
        assert (await browser.post("/login", data=form, headers=evil)).status_code == 403
