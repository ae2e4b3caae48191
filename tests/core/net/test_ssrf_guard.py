"""Which addresses the guard lets pass, and that connections go to judged addresses only."""

import asyncio
import socket
from typing import Any

import httpcore
import pytest

from ums.config import Settings, SettingsError
from ums.core.content.attachment_fetcher import fetch_files
from ums.core.net.ssrf_guard import Denied, Guard, GuardedNetwork, parse_networks
from ums.errors import Invalid

SETTINGS = Settings(fetch_allow="127.0.0.1/32")

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "168.63.129.17",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2400:3200::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:800::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::8.8.8.8",
]
DENIED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba's metadata service
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # Oracle's metadata service
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::192.168.0.1",
    "64:ff9b:1::10.0.0.1",
    "64:ff9b:1:a00:0:100:808:808",  # 10.0.0.1, or 8.8.8.8, as the site has it
    "64:ff9b:2::1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "3fff:fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "ffff::1",
]
NO_ADDRESS = ["", "localhost", "0x7f.1", "2130706433", "127.1", "0177.0.0.1", "[::1]", "1.1.1.1 "]


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("port", [80, 443])
def test_a_public_address_passes(address: str, port: int) -> None:
    Guard().judge(address, port)


@pytest.mark.parametrize("address", DENIED + NO_ADDRESS)
def test_every_other_address_is_denied(address: str) -> None:
    with pytest.raises(Denied) as denied:
        Guard().judge(address, 443)
    assert denied.value.reason
    assert not denied.value.port


@pytest.mark.parametrize("port", [0, 1, 22, 25, 3306, 8080, 65535])
@pytest.mark.parametrize("address", ["8.8.8.8", "10.0.0.1", "2606:4700:4700::1111"])
def test_other_ports_are_denied_alike_inside_and_outside(address: str, port: int) -> None:
    with pytest.raises(Denied) as denied:
        Guard().judge(address, port)
    assert denied.value.port
    assert address not in denied.value.reason


def test_an_allowed_network_passes_at_any_port_and_no_other_does() -> None:
    guard = Guard(parse_networks("10.1.0.0/16, fd00:1::/32"))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5"):
        guard.judge(address, 9000)
    for address in ("10.2.0.1", "::ffff:10.2.0.1", "fd00:2::5", "127.0.0.1"):
        with pytest.raises(Denied):
            guard.judge(address, 80)


def test_networks_are_read() -> None:
    assert parse_networks("") == parse_networks(" , ") == ()
    both = parse_networks("10.0.0.0/8,fd00::/8 , 192.168.1.1")
    assert [str(network) for network in both] == ["10.0.0.0/8", "fd00::/8", "192.168.1.1/32"]


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0/8;::/0", "*"])
def test_what_is_no_network_is_an_error_of_the_settings(text: str) -> None:
    with pytest.raises(SettingsError, match="UMS_FETCH_ALLOW"):
        parse_networks(text)


# -- connections ------------------------------------------------------------------------------


class Dials:
    """Stands in for the network: a resolver with answers to give in turn, and no connections."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.share = 0.0

    async def getaddrinfo(self, host: str, port: int, **_: object) -> list[Any]:
        self.asked.append(host)
        kind = socket.SOCK_STREAM
        return [(0, kind, 6, "", (address, port)) for address in self.answers.pop(0)]

    async def connect(
        self, host: str, port: int, timeout: float, *rest: object
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append((host, port))
        self.share = timeout
        raise httpcore.ConnectError("refused")


async def connect(
    monkeypatch: pytest.MonkeyPatch, dials: Dials, guard: Guard, port: int = 80
) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", dials.getaddrinfo)
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", dials.connect)
    await GuardedNetwork(guard).connect_tcp("name.example", port, 5.0)


async def test_a_name_is_looked_up_once_and_its_judged_addresses_are_dialled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dials = Dials(["93.184.216.34", "2606:4700:4700::1111"], ["10.0.0.1"])
    with pytest.raises(httpcore.ConnectError):
        await connect(monkeypatch, dials, Guard())
    assert dials.asked == ["name.example"]
    assert dials.dialled == [("93.184.216.34", 80), ("2606:4700:4700::1111", 80)]
    assert 4 < dials.share <= 5


@pytest.mark.parametrize(
    "addresses",
    [["10.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["93.184.216.34", "::ffff:127.0.0.1"]],
)
async def test_one_denied_address_of_several_is_enough(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    dials = Dials(addresses)
    with pytest.raises(Denied):
        await connect(monkeypatch, dials, Guard())
    assert dials.dialled == []


async def test_a_name_without_an_address_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dials = Dials([])
    with pytest.raises(httpcore.ConnectError):
        await connect(monkeypatch, dials, Guard())


async def test_a_slow_look_up_counts_into_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    with pytest.raises(httpcore.ConnectTimeout):
        await GuardedNetwork(Guard()).connect_tcp("name.example", 80, 0.05)


# -- URLs -------------------------------------------------------------------------------------


NO_URLS = [
    "",
    "report.pdf",
    "/etc/passwd",
    "//127.0.0.2/",
    "http:/127.0.0.2/",
    "http:127.0.0.2",
    "http://",
    "http:///a",
    "http://?a",
    "file:///etc/passwd",
    "data:text/plain,x",
    "ftp://127.0.0.2/",
    "gopher://127.0.0.2/",
    "dict://127.0.0.2/",
    "jar:http://127.0.0.2/!/",
    "javascript:alert(1)",
    "http://user@127.0.0.2/",
    "http://user:pass@127.0.0.2/",
    "http://@127.0.0.2/",
    "http://public.example@127.0.0.2/",
    "http://127.0.0.2\\@public.example/",
    "http://public.example\\.127.0.0.2/",
    "http://127.0.0.2 /",
    " http://127.0.0.2/",
    "http://127.0.0.2/a b",
    "http://127.0.0.2/\r\nX: y",
    "http://127.0.0.2/\x00",
    "http://127.0.0.2\t/",
    "http://127.0.0.2/\ud800",
    "http://\ud800/",
    "http://127.0.0.2:0/",
    "http://127.0.0.2:65536/",
    "http://127.0.0.2:x/",
    "http://[::1",
    "http://[127.0.0.2]/",
    "http://１２７.0.0.2/",
    "http://0177.0.0.2/",
    "http://256.1.1.1/",
    "http://127.0.0.2/" + "a" * 2048,
]


@pytest.mark.parametrize("url", NO_URLS)
async def test_what_is_not_a_url(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        await fetch_files(["http://127.0.0.2/", url], SETTINGS)  # neither is fetched
    assert refused.value.reason == "bad_file_url"
    assert refused.value.values == {"field": "msg_email[0].files[1]"}


INSIDE = [
    "http://127.0.0.2/",
    "HTTPS://127.0.0.2/",
    "http://0x7f.2/",
    "http://0x7f000002/",
    "http://2130706434/",
    "http://017700000002/",
    "http://127.2/",
    "http://127.0.2/",
    "http://127。0。0。2/",
    "http://127.0.0.2:80/",
    "http://127.0.0.2:443/",
    "http://0/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::127.0.0.2]/",
    "http://[::ffff:127.0.0.2]/",
    "http://[::ffff:7f00:2]/",
    "http://[::ffff:0:127.0.0.2]/",
    "http://[64:ff9b::127.0.0.2]/",
    "http://[64:ff9b:1::127.0.0.2]/",
    "http://[2002:7f00:2::]/",
    "http://[2001:0:7f00:2::]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://[::ffff:169.254.169.254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://inside.example/",
    "http://INSIDE.example/",
    "http://both.example/",
]


@pytest.mark.parametrize("url", INSIDE)
async def test_nothing_inside_is_ever_dialled(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"inside.example": ["127.0.0.2"], "both.example": ["93.184.216.34", "10.0.0.1"]}
    dials = Dials()

    async def getaddrinfo(host: str, port: int, **_: object) -> list[Any]:
        if host in names:
            return [(0, 0, 6, "", (address, port)) for address in names[host]]
        # Odd spellings are the C library's to read.
        return socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", dials.connect)
    with pytest.raises(Invalid) as refused:
        await fetch_files([url], SETTINGS)
    assert refused.value.words() == "msg_email[0].files[0]: address not allowed"
    assert dials.dialled == []
