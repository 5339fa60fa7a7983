"""Pages that download labels."""

from fastapi import APIRouter

router = APIRouter()
