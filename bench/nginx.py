"""nginx twice: as the proxy to compare with, and as the cheapest honest provider for calls that are not streamed.

In:     a folder, ports. Out: configuration files and the command that runs one. Nothing of a system-wide nginx is used:
        own configuration, own prefix, own pid file, own temporary folders.
"""

from __future__ import annotations

import os
from pathlib import Path

from bench import traffic

CONNECTIONS = 32_768  # nginx closes what it can when 15/16 are in use, so more than the open files allow

_FRAME = """\
{user}
worker_processes 1;
worker_rlimit_nofile {files};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    default_type application/json;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 2m;
    client_max_body_size 64m;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    tcp_nodelay on;
{servers}
}}
"""

_PROXY = """\
    upstream whole {{ server 127.0.0.1:{whole}; {keep} }}
    upstream stream {{ server 127.0.0.1:{stream}; {keep} }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 300s;
    server {{
        listen 127.0.0.1:{whole_listen} backlog=4096;
        location / {{ proxy_pass http://whole; }}
    }}
    server {{
        listen 127.0.0.1:{stream_listen} backlog=4096;
        location / {{ proxy_pass http://stream; proxy_buffering off; }}
    }}
"""

_KEEP = "keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 300s;"

_MOCK = """\
    server {{
        listen 127.0.0.1:{listen} backlog=4096;
        add_header x-request-id req_0123456789abcdef;
        location / {{ return 200 '{reply}'; }}
    }}
"""


def write_proxy(folder: Path, files: int, whole: int, stream: int, whole_listen: int, stream_listen: int) -> Path:
    """The proxy under comparison: keep-alive upstream, bodies in memory, streams not buffered, nothing logged."""
    servers = _PROXY.format(
        whole=whole, stream=stream, whole_listen=whole_listen, stream_listen=stream_listen, keep=_KEEP
    )
    return _write(folder, files, servers)


def write_mock(folder: Path, files: int, listen: int) -> Path:
    """Answers every request at once with a chat completion."""
    reply = traffic.whole_reply().decode()
    if "'" in reply or "$" in reply or "\\" in reply:
        raise ValueError("the reply has characters that nginx's configuration would read")
    return _write(folder, files, _MOCK.format(listen=listen, reply=reply))


def command(program: str, configuration: Path) -> list[str]:
    # -e: otherwise nginx opens the log it was built with before it reads the configuration
    return [program, "-e", str(configuration.parent / "error.log"), "-p", str(configuration.parent), "-c",
            str(configuration)]  # fmt: skip


def _write(folder: Path, files: int, servers: str) -> Path:
    folder.mkdir(parents=True)
    user = "user root;" if os.geteuid() == 0 else ""  # else root's worker becomes nobody, who cannot enter the folder
    path = folder / "nginx.conf"
    path.write_text(_FRAME.format(user=user, folder=folder, files=files, connections=CONNECTIONS, servers=servers))
    return path
