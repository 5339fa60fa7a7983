"""Pages of the versions of the instructions."""

from fastapi import APIRouter

router = APIRouter()
