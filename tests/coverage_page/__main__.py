"""python -m tests.coverage_page: see the package."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # where tests find what they share

from . import names, page, recorder


def write(record: dict[str, Any], file: Path) -> None:
    """As JSON, a line for each operation or namespace."""
    parts = []
    for key, value in record.items():
        text = json.dumps(value)
        if isinstance(value, dict):
            text = (
                "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()) + "\n }"
            )
        parts.append(f" {json.dumps(key)}: {text}")
    file.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.coverage_page", description="Write docs/coverage.md."
    )
    parser.add_argument(
        "--checks", nargs="*", metavar="TEST",
        help="first run the tests, and record what they check: all of them, or a few, as pytest names them, whose "
        "record is added",
    )  # fmt: skip
    parser.add_argument("--names", action="store_true", help="first list PyTorch's names anew")
    asked = parser.parse_args()
    if asked.names:
        write(names.from_pytorch(), names.RECORD)
    if asked.checks is not None:
        write(recorder.run(asked.checks), recorder.RECORD)
    page.PAGE.write_text(page.text(), encoding="utf-8")
    print(f"wrote {page.PAGE.name}")


main()
