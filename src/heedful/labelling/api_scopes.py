"""What a token may be made for, in words for the page that makes it. The API checks them."""

from collections.abc import Mapping

SCOPES: Mapping[str, str] = {
    "projects:read": "See projects, batches and their progress",
    "labels:read": "Read and export labels",
    "prompts:write": "Add prompts and completions",
    "batches:write": "Make batches, open and close them",
}
