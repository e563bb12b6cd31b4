"""
Certificates for one test, made with the openssl command.

    certs = Certs(folder)
    server = certs.issue("server")       # .cert .key, signed by certs.ca, for localhost and 127.0.0.1
    certs.context(ca=certs.ca.cert)      # a client that trusts this authority
"""
import ssl
import subprocess
from collections import namedtuple
from pathlib import Path

Pair = namedtuple("Pair", "cert key")


class Certs:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.ca = self.authority("authority")

    def _openssl(self, *words):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, f"openssl {' '.join(map(str, words))}: {done.stderr}"
        return done.stdout

    def _key(self, name):
        path = self.folder / f"{name}.key"
        self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        path.chmod(0o600)
        return path

    def authority(self, name):
        key, cert = self._key(name), self.folder / f"{name}.pem"
        self._openssl("req", "-x509", "-new", "-key", key, "-out", cert, "-days", "2", "-subj", f"/CN={name}",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        return Pair(cert, key)

    def issue(self, name, by=None, days=1, subject=None):
        """days < 0: out of date for a day."""
        by = by or self.ca
        key, cert = self._key(name), self.folder / f"{name}.pem"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        self._openssl("req", "-new", "-key", key, "-out", request, "-subj", f"/CN={subject or name}")
        self._openssl("x509", "-req", "-in", request, "-CA", by.cert, "-CAkey", by.key, "-CAcreateserial",
                      "-days", days, "-extfile", extensions, "-out", cert)
        return Pair(cert, key)

    def context(self, own=None, ca=None, low=None, high=None):
        """What a client needs to know: whom it trusts, and its own certificate."""
        context = ssl.create_default_context(cafile=str(ca or self.ca.cert))
        if own:
            context.load_cert_chain(str(own.cert), str(own.key))
        if low:
            context.minimum_version = low
        if high:
            context.maximum_version = high
        return context
