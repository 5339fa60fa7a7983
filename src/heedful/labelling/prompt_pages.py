"""Pages of prompts and their import."""

from fastapi import APIRouter

router = APIRouter()
