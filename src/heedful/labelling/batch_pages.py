"""Pages of batches, items and submissions."""

from fastapi import APIRouter

router = APIRouter()
