"""Numbers of things, in words."""


def counted(number: int, noun: str = "task") -> str:
    """A number with its noun: "1 task", "1,200 keys"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
