"""Files that pages load: our own, and ECharts, read from the package that ships it.

In:     this folder, and `nicegui` where it is installed (it is not imported).
Out:    bytes with a media type, under an address that holds the hash of all of them: a browser keeps them for ever.
Without the package tables stand for charts.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

OWN = Path(__file__).with_name("static")
PACKAGES = {  # where a page finds it -> (package, path in it)
    "echarts/": ("nicegui", "elements/echart/dist"),
}
MEDIA = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Asset(NamedTuple):
    body: bytes
    packed: bytes  # gzip
    media: str


@cache
def files() -> dict[str, Asset]:
    """Path -> file."""
    found = {path.name: path for path in sorted(OWN.iterdir()) if path.suffix in MEDIA}
    for name, (package, inside) in PACKAGES.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec is not None else []:
            place = Path(folder) / inside
            if place.is_file():
                found[name] = place
            elif place.is_dir():
                found |= {name + path.name: path for path in sorted(place.glob("*.js"))}
    return {name: _read(path) for name, path in found.items()}


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, gzip.compress(body, 6, mtime=0), MEDIA[path.suffix])


@cache
def version() -> str:
    digest = hashlib.sha256()
    for name, asset in sorted(files().items()):
        digest.update(name.encode() + b"\0" + asset.body)
    return digest.hexdigest()[:12]


def url(name: str) -> str:
    """ "app.js" -> its address; "" = its package is not installed."""
    return f"/console/assets/{version()}/{name}" if name in files() else ""


async def serve(request: Request) -> Response:
    asset = files().get(request.path_params["name"])
    if asset is None or request.path_params["version"] != version():
        return Response(status_code=404)
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.media, headers={**headers, "content-encoding": "gzip"})
    return Response(asset.body, media_type=asset.media, headers=headers)
