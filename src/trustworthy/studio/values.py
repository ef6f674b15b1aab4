"""Values that never change and are checked where they are made; what is wrong with one is said in words."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Value(BaseModel):
    """What is saved as JSON, or comes from a form: it knows no other fields than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def faults(error: ValidationError) -> list[str]:
    """Each fault in a person's words: "patch: Input should be a multiple of 16, got '100'"."""
    told = [(".".join(map(str, each["loc"])), each) for each in error.errors()]
    return [
        f"{field}: {each['msg']}, got {each['input']!r}" if field else each["msg"].removeprefix("Value error, ")
        for field, each in told
    ]
