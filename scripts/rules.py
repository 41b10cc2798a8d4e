"""Writes docs/rules.md anew from the explanations of the rules."""

from pathlib import Path

from reconciler import resources
from reconciler.core.validation import rulebook


def main() -> None:
    """Write the page."""
    page = Path(__file__).parents[1] / "docs" / "rules.md"
    page.write_text(rulebook.page(resources.rules()), encoding="utf-8")


if __name__ == "__main__":
    main()
