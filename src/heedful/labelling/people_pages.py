"""Pages of labellers, accounts and invites."""

from fastapi import APIRouter

router = APIRouter()
