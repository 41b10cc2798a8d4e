import os
import ssl
from contextlib import suppress

import pytest

from reconciler.target.tls import certificate_error, client_context, unused_context


def test_clients_share_the_context_of_the_system():
    assert client_context("") is client_context("")


def test_clients_share_the_context_of_a_file_until_it_is_replaced(certificates):
    path = certificates / "authority.pem"
    first = client_context(str(path))
    assert client_context(str(path)) is first
    os.utime(path, (1, 1))
    assert client_context(str(path)) is not first


@pytest.mark.parametrize("make", [lambda: client_context(""), unused_context], ids=["system", "unused"])
def test_every_context_checks_certificate_and_name(make):
    assert (make().verify_mode, make().check_hostname) == (ssl.CERT_REQUIRED, True)


def test_own_file_is_trusted_alone(certificates):
    assert client_context(str(certificates / "authority.pem")).cert_store_stats()["x509"] == 1


def test_file_that_is_missing_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        client_context(str(tmp_path / "ca.pem"))


def negotiated(client, server):
    """The protocol that two contexts agree on, in a handshake in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname="127.0.0.1"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for end in (*ends, *ends):
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return ends[0].selected_alpn_protocol()


def test_protocols_of_a_shared_context_stay_as_they_are(certificates, tls):
    server = tls("right")
    server.set_alpn_protocols(["h2", "http/1.1"])
    client = client_context(str(certificates / "authority.pem"))
    client.set_alpn_protocols(["h2"])
    assert negotiated(client, server) == "http/1.1"


def test_reason_is_found_behind_other_exceptions():
    reason = ssl.SSLCertVerificationError("why")
    outer = OSError()
    outer.__context__ = RuntimeError()
    outer.__context__.__cause__ = reason
    assert certificate_error(outer) is reason
    assert certificate_error(OSError()) is None
