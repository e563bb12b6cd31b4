"""
Clients that do exactly what they are told: no pool, no silent reconnect, no retry.

redis-py opens a new connection behind one's back; whether *this* connection went on is what many
tests ask. Both classes are also used to send what no client library would.
"""
import base64
import hashlib
import json
import os
import re
import socket
import ssl
import struct


class WireError(Exception):
    """An error reply, not a broken connection."""


class Closed(ConnectionError):
    pass


class Wire:
    """One RESP2 connection; `tls`: an SSLContext."""

    def __init__(self, port, host="127.0.0.1", timeout=30.0, tls=None):
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
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
        timeout = self.sock.gettimeout()
        self.sock.setblocking(False)
        try:
            while True:
                data = self.sock.recv(65536)
                if not data:
                    return True
                self.pending += data
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(timeout)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class WebSocket:
    """One WebSocket client (RFC 6455) without any help: frames are what the test says."""

    CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

    def __init__(self, port=None, path="/", headers=None, timeout=30.0, http=None):
        """`http`: over this connection, instead of one to `port`."""
        self.http = http or Http(port, timeout=timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        self.reply = self.http.get(path, headers={
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key,
            **(headers or {})})
        self.messages = []
        if self.reply.status == 101:
            digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            assert self.reply.headers["sec-websocket-accept"] == base64.b64encode(digest).decode()

    @staticmethod
    def frame(opcode, payload, fin=True, mask=b"\x01\x02\x03\x04", rsv=0):
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit = 0x80 if mask else 0
        if len(payload) < 126:
            head += bytes([bit | len(payload)])
        elif len(payload) < 65536:
            head += struct.pack(">BH", bit | 126, len(payload))
        else:
            head += struct.pack(">BQ", bit | 127, len(payload))
        if mask:
            payload = bytes(b ^ m for b, m in zip(payload, (mask * (len(payload) // 4 + 1))[:len(payload)]))
        return head + (mask or b"") + payload

    def send_frame(self, *args, **kw):
        self.http.send_raw(self.frame(*args, **kw))

    def send(self, message):
        """A list goes as JSON, bytes go as they are in a binary frame."""
        if isinstance(message, bytes):
            self.send_frame(self.BINARY, message)
        else:
            self.send_frame(self.TEXT, json.dumps(message).encode())

    def frame_in(self):
        """(opcode, payload) of the next frame; a server's are whole and not masked."""
        head = self.http._take(2)
        assert head[0] & 0x80 and not head[1] & 0x80, head
        size = head[1]
        if size == 126:
            size = struct.unpack(">H", self.http._take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.http._take(8))[0]
        return head[0] & 15, self.http._take(size)

    def next(self):
        """The next message: JSON as a document, binary as bytes; pings are answered."""
        while True:
            opcode, payload = self.frame_in()
            if opcode == self.TEXT:
                try:
                    return json.loads(payload)
                except ValueError:
                    return payload
            if opcode == self.BINARY:
                return payload
            if opcode == self.PING:
                self.send_frame(self.PONG, payload)
            if opcode == self.CLOSE:
                raise Closed(f"close {self.code(payload)}")

    @staticmethod
    def code(payload):
        return struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None

    def closed_with(self):
        """The code of the close frame that comes; messages before it are passed over."""
        while True:
            opcode, payload = self.frame_in()
            if opcode == self.CLOSE:
                return self.code(payload)

    def __call__(self, *args):
        self.send(list(args))
        return self.next()

    def close(self):
        self.http.close()

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

    def __init__(self, port, host="127.0.0.1", timeout=30.0, tls=None):
        self.host, self.port, self.timeout, self.tls = host, port, timeout, tls
        self.sock = None
        self.pending = b""

    def connect(self):
        self.sock = socket.create_connection((self.host, self.port), timeout=self.timeout)
        if self.tls:
            self.sock = self.tls.wrap_socket(self.sock, server_hostname="localhost")
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

    def open_stream(self, path, headers=None):
        """The head of a response that goes on; next_chunk gives what follows."""
        lines = [f"GET {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.send_raw("\r\n".join(lines).encode() + b"\r\n\r\n")
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        return HttpReply(status, {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:])}, b"")

    def next_chunk(self):
        """The bytes of one chunk; b"" is the last."""
        size = int(self._until(b"\r\n"), 16)
        data = self._take(size)
        assert self._take(2) == b"\r\n"
        return data

    def close(self):
        if self.sock:
            self.sock.close()
            self.sock = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
