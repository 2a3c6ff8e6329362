"""Write the gateway's OpenAPI document to the file that is given: openapi.py FILE."""

import json
import sys
from pathlib import Path

from services.gateway.app import create_app
from services.gateway.settings import Settings


def main() -> None:
    file = Path(sys.argv[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(create_app(Settings()).openapi(), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
