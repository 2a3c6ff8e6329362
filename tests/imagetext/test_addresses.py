"""Which addresses are public, and what names stand for."""

import pytest

from imagetext.wire.guarded_transport import is_public, resolve


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"],
)
def test_public(address):
    """Addresses of machines on the internet are public, in either way of writing."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",  # a cloud's metadata
        "100.64.0.1",  # shared by a provider's customers
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_not_public(address):
    """Our own machine and network, groups of machines, reserved blocks and tunnels to any of them are not."""
    assert not is_public(address)


async def test_ways_to_write_this_machine():
    """However the resolver lets one write 127.0.0.1, it is 127.0.0.1 that is judged."""
    for host in ("127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"):
        assert await resolve(host, 80) == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70, "a..b", ""])
async def test_unknown_names(host):
    """A name that nobody has, or nobody can have, is an OSError; an empty one is never a public address."""
    try:
        found = await resolve(host, 80)
    except OSError:
        return
    assert not any(is_public(address) for address in found)
