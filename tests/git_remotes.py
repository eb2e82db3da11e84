"""Real remotes for tests: a bare repository by file URL, by git's own http-backend behind a password, and by a local sshd."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

TOKEN = "s3cret-t0ken"
VALUES = b"# ours\nimage:\n  repository: shop\n  tag: 1.0.0  # now\nreplicas: 2\n"
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
PERSON = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgSign=false")


def git(folder: Path, *arguments: str) -> str:
    """Run git as a colleague would, and give what it writes."""
    ended = subprocess.run(["git", *PERSON, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode().strip()


@dataclass
class Repository:
    """A bare repository, and a colleague's clone of it."""

    bare: Path
    clone: Path

    @property
    def url(self) -> str:
        """Its file URL."""
        return self.bare.as_uri()

    @property
    def head(self) -> str:
        """The hash of main."""
        return git(self.bare, "rev-parse", "refs/heads/main")

    def write(self, files: dict[str, bytes], message: str = "A colleague's change") -> str:
        """Commit files on top of what is there, and push."""
        git(self.clone, "fetch", "-q", "origin")
        git(self.clone, "reset", "-q", "--hard", "origin/main")
        for name, content in files.items():
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            (self.clone / name).write_bytes(content)
        return self.push(message)

    def push(self, message: str = "A colleague's change") -> str:
        """Commit what stands in the clone, and push."""
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-q", "-m", message)
        git(self.clone, "push", "-q", "origin", "HEAD:refs/heads/main")
        return self.head

    def rewrite(self, head: str) -> None:
        """Push by force: main is another commit from now on."""
        git(self.clone, "fetch", "-q", "origin")
        git(self.clone, "push", "-q", "--force", "origin", f"{head}:refs/heads/main")

    def push_side(self, branch: str) -> None:
        """Push a commit on a branch of its own."""
        git(self.clone, "commit", "-q", "--allow-empty", "-m", "Aside")
        git(self.clone, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")

    def read(self, name: str) -> bytes:
        """Read a file of main."""
        return subprocess.run(["git", "show", f"main:{name}"], cwd=self.bare, env=ENVIRONMENT, capture_output=True, check=True).stdout

    def subjects(self) -> list[str]:
        """List the subjects of main, newest first."""
        return git(self.bare, "log", "--format=%s", "main").splitlines()

    def hook(self, name: str, script: str) -> None:
        """Put a hook on the server's side."""
        path = self.bare / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def make_repository(folder: Path) -> Repository:
    """Make one with a first commit."""
    bare, clone = folder / "remote.git", folder / "colleague"
    git(folder, "init", "-q", "--bare", "--initial-branch=main", str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true")
    git(bare, "config", "http.receivepack", "true")
    git(folder, "init", "-q", "--initial-branch=main", str(clone))
    git(clone, "remote", "add", "origin", str(bare))
    (clone / "values.yaml").write_bytes(VALUES)
    (clone / "other.txt").write_text("other\n")
    repository = Repository(bare, clone)
    repository.push("First")
    return repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Give a bare repository with `values.yaml` on main."""
    return make_repository(tmp_path)


@dataclass
class HttpRemote:
    """git's http-backend behind a password.

    Fields:
        url: Of the repository.
        seen: Method and path of each request.
        status: If set, what every request is answered with.
        asked: Set once it was asked anything.
        gone: Set when the server ends.
        hang: Set while requests are not answered.
        drop_push: Whether the next push is taken and its answer is not given.
    """

    url: str = ""
    seen: list[str] = field(default_factory=list)
    status: int = 0
    hang: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    drop_push: bool = False


@contextmanager
def serving_http(repository: Repository) -> Iterator[HttpRemote]:
    """Serve a repository until the block ends."""
    remote = HttpRemote()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Say nothing."""

        def do_GET(self) -> None:
            _answer(self, repository, remote)

        def do_POST(self) -> None:
            _answer(self, repository, remote)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    remote.url = f"http://127.0.0.1:{server.server_port}/remote.git"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield remote
    finally:
        remote.gone.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, repository: Repository, remote: HttpRemote) -> None:
    remote.seen.append(f"{handler.command} {handler.path}")
    remote.asked.set()
    body = _body(handler)
    if remote.hang.is_set():
        remote.gone.wait()
        handler.close_connection = True
        return
    given = handler.headers.get("Authorization", "")
    if remote.status or given != f"Basic {base64.b64encode(f'git:{TOKEN}'.encode()).decode()}":
        handler.send_response(remote.status or 401)
        handler.send_header("WWW-Authenticate", 'Basic realm="git"')
        handler.send_header("Location", "http://127.0.0.1:1/elsewhere.git/info/refs")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    answer = _backend(handler, repository, body)
    if remote.drop_push and handler.path.endswith("/git-receive-pack"):
        remote.drop_push = False
        handler.close_connection = True
        return
    _relay(handler, answer)


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding") == "chunked":
        parts = []
        while size := int(handler.rfile.readline(), 16):
            parts.append(handler.rfile.read(size))
            handler.rfile.readline()
        handler.rfile.readline()
        return b"".join(parts)
    return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))


def _backend(handler: BaseHTTPRequestHandler, repository: Repository, body: bytes) -> bytes:
    address = urlsplit(handler.path)
    environment = ENVIRONMENT | {
        "GIT_PROJECT_ROOT": str(repository.bare.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REMOTE_USER": "git",
        "REQUEST_METHOD": handler.command,
        "PATH_INFO": address.path,
        "QUERY_STRING": address.query,
        "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
    }
    return subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True, timeout=60).stdout


def _relay(handler: BaseHTTPRequestHandler, answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    handler.send_response(int(headers.pop("Status", "200 OK").split()[0]))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def http_remote(repository: Repository) -> Iterator[HttpRemote]:
    """Serve the repository over HTTP; the password is TOKEN."""
    with serving_http(repository) as remote:
        yield remote


@dataclass(frozen=True)
class SshRemote:
    """A repository by ssh: its address, a key that may, and the host's line of `known_hosts`."""

    url: str
    key: str
    known_hosts: str
    port: int


def make_key(path: Path) -> str:
    """Make a key and give its private half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True, timeout=60)
    return path.read_text()


@pytest.fixture
def ssh_remote(repository: Repository, tmp_path: Path) -> Iterator[SshRemote]:
    """Serve the repository by a real sshd on loopback."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        pytest.skip("there is no sshd (Debian: openssh-server)")
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    make_key(folder / "host")
    key = make_key(folder / "user")
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    port = _free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd asks for it as root
    with (folder / "log").open("wb") as log, subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "config")], stderr=log) as process:
        try:
            _wait_for(port, process)
            known = f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}"
            yield SshRemote(f"ssh://{user}@127.0.0.1:{port}{repository.bare}", key, known, port)
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert process.poll() is None, "sshd has ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as line:
            if line.recv(4) == b"SSH-":
                return
        time.sleep(0.02)
    pytest.fail(f"sshd did not answer on port {port} (python {sys.version_info.minor})")
