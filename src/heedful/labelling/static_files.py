"""Files of the application itself: scripts, styles, icons. Never what people uploaded."""

import os
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from heedful.labelling.rendering import STATIC, asset_hash

_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "public, no-cache"


class OwnFiles(StaticFiles):
    """Files below static/: kept for ever when asked for by their hash, else revalidated."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or an error."""
        response = await super().get_response(path, scope)
        if response.status_code in (200, 304):
            asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("v", [""])[0]
            name = path.replace(os.sep, "/")
            current = asked != "" and asked == asset_hash(name)
            response.headers["Cache-Control"] = _FOR_EVER if current else _ASK_AGAIN
        return response
