"""holdfast cert: a small authority, and certificates that others take for what they are."""
import stat
import subprocess

import pytest

PEERS = ["-s", "peer-a.address=10.9.0.1", "-s", "peer-b.address=fd00::2", "-s", "peer-c.address=c.example.org",
         "-s", "holdfast.node=a", "-s", f"holdfast.secret={'0' * 32}"]


def openssl(*words, check=True):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=30)
    assert not check or done.returncode == 0, done
    return done.stdout + done.stderr if check else done.returncode == 0


@pytest.fixture
def idle(make_cluster):
    c = make_cluster()
    return c, c.case / "tls"


def test_every_host_gets_one_that_the_authority_has_signed(idle):
    c, folder = idle
    said = c.cli("cert", *PEERS, folder).stdout
    assert sorted(f.name for f in folder.iterdir()) == ["a.crt", "a.key", "b.crt", "b.key", "c.crt", "c.key", "ca.crt", "ca.key"]
    assert {stat.S_IMODE(f.stat().st_mode) for f in folder.iterdir()} == {0o600}
    assert "PRIVATE KEY" not in said
    for name, check in (("a", ("-verify_ip", "10.9.0.1")), ("b", ("-verify_ip", "fd00::2")), ("c", ("-verify_hostname", "c.example.org")),
                        ("a", ("-verify_hostname", "a"))):
        for purpose in ("sslserver", "sslclient"):
            openssl("verify", "-x509_strict", "-CAfile", folder / "ca.crt", "-purpose", purpose, *check, folder / f"{name}.crt")
    assert not openssl("verify", "-CAfile", folder / "ca.crt", "-verify_ip", "10.9.0.2", folder / "a.crt", check=False)
    shown = openssl("x509", "-in", folder / "a.crt", "-noout", "-text")
    assert "prime256v1" in shown and "CA:FALSE" in shown and "TLS Web Client Authentication" in shown
    # who has a host's certificate cannot sign others
    assert "CA:TRUE, pathlen:0" in openssl("x509", "-in", folder / "ca.crt", "-noout", "-text")
    assert openssl("x509", "-in", folder / "a.crt", "-noout", "-pubkey") == openssl("pkey", "-in", folder / "a.key", "-pubout")


def test_nothing_is_replaced_unasked(idle):
    c, folder = idle
    c.cli("cert", folder, "a=10.9.0.1")
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    for words in (["a=10.9.0.1"], ["b=10.9.0.2", "a=10.9.0.1"]):
        done = c.cli("cert", folder, *words, check=False)
        assert done.returncode == 1 and "--renew" in done.stderr, done
        assert {f.name: f.read_bytes() for f in folder.iterdir()} == before
    c.cli("cert", folder, "b=10.9.0.2,b.example.org")  # one more of the same authority
    openssl("verify", "-CAfile", folder / "ca.crt", "-verify_hostname", "b.example.org", folder / "b.crt")
    c.cli("cert", "--renew", folder, "a=10.9.0.1")
    now = {f.name: f.read_bytes() for f in folder.iterdir()}
    assert {n for n in before if before[n] != now[n]} == {"a.crt", "a.key"}
    openssl("verify", "-CAfile", folder / "ca.crt", folder / "a.crt")
    (folder / "ca.key").unlink()  # half an authority is not replaced by a new one
    done = c.cli("cert", folder, "c=10.9.0.3", check=False)
    assert done.returncode == 1 and "ca.key" in done.stderr and not (folder / "c.crt").exists()


@pytest.mark.parametrize("words,told", [([], "NAME=ADDRESS"), (["../a=10.9.0.1"], "no name of a host"), (["ca=10.9.0.1"], "authority"),
                                        (["d"], "[peer-d]"), (["a=1.2.3.4", "a=1.2.3.5"], "twice")], ids=lambda w: str(w)[:12])
def test_a_mistake_makes_nothing(idle, words, told):
    c, folder = idle
    done = c.cli("cert", folder, *words, check=False)
    assert done.returncode == 2 and told in done.stderr, done
    assert not folder.exists()
