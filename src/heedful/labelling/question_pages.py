"""Pages of labellers' questions."""

from fastapi import APIRouter

router = APIRouter()
