"""
Clients that do exactly what they are told: no pool, no silent reconnect, no retry.

redis-py opens a new connection behind one's back; whether *this* connection went on is what many
tests ask. Both classes are also used to send what no client library would.
"""
import json
import re
import socket


class WireError(Exception):
    """An error reply, not a broken connection."""


class Closed(ConnectionError):
    pass


class Wire:
    """One RESP2 connection."""

    def __init__(self, port, host="127.0.0.1", timeout=30.0):
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = bytearray()

    @staticmethod
    def pack(*args):
        out = [b"*%d\r\n" % len(args)]
        for a in args:
            if not isinstance(a, bytes):
                a = str(a).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(a), a))
        return b"".join(out)

    def send(self, *args):
        self.sock.sendall(self.pack(*args))

    def send_raw(self, data):
        self.sock.sendall(data)

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed("closed by the server")
        self.pending += data

    def _line(self):
        while (end := self.pending.find(b"\r\n")) < 0:
            self._more()
        line = bytes(self.pending[:end])
        del self.pending[: end + 2]
        return line

    def _bytes(self, count):
        while len(self.pending) < count + 2:
            self._more()
        data = bytes(self.pending[:count])
        del self.pending[: count + 2]
        return data

    def reply(self):
        """The next reply; an error reply is returned as a WireError, so that pipelines can go on."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return WireError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._bytes(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        raise AssertionError(f"not RESP2: {line!r}")

    def __call__(self, *args):
        self.send(*args)
        answer = self.reply()
        if isinstance(answer, WireError):
            raise answer
        return answer

    def is_closed(self):
        """True when the server has closed; for a condition, so it never blocks. Unread bytes are kept."""
        self.sock.setblocking(False)
        try:
            while True:
                data = self.sock.recv(65536)
                if not data:
                    return True
                self.pending += data
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(30.0)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class HttpReply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<HTTP {self.status} {self.body[:200]!r}>"


class Http:
    """One HTTP/1.1 connection, kept alive; connects at the first request."""

    def __init__(self, port, host="127.0.0.1", timeout=30.0):
        self.host, self.port, self.timeout = host, port, timeout
        self.sock = None
        self.pending = b""

    def connect(self):
        self.sock = socket.create_connection((self.host, self.port), timeout=self.timeout)
        self.pending = b""

    def send_raw(self, data):
        if self.sock is None:
            self.connect()
        self.sock.sendall(data)

    def _until(self, mark):
        while mark not in self.pending:
            self._more()
        head, _, self.pending = self.pending.partition(mark)
        return head

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed("closed by the server")
        self.pending += data

    def _take(self, count):
        while len(self.pending) < count:
            self._more()
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def reply(self, head=False):
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(re.match(r"HTTP/1\.[01] (\d{3})", lines[0]).group(1))
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = b""
        if head or status in (204, 304) or 100 <= status < 200:
            pass
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            while (size := int(self._until(b"\r\n").split(b";")[0], 16)) > 0:
                body += self._take(size)
                self._until(b"\r\n")
            self._until(b"\r\n")
        elif "content-length" in headers:
            body = self._take(int(headers["content-length"]))
        else:
            try:
                while True:
                    self._more()
            except Closed:
                body, self.pending = self.pending, b""
        if headers.get("connection", "").lower() == "close":
            self.close()
        return HttpReply(status, headers, body)

    def request(self, method, path, body=None, headers=None):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            body = body if isinstance(body, bytes) else body.encode()
            lines.append(f"Content-Length: {len(body)}")
        self.send_raw("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        return self.reply(head=method == "HEAD")

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def close(self):
        if self.sock:
            self.sock.close()
            self.sock = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
