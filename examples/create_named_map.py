"""Create a named map from a JSON file and print its id.

python examples/create_named_map.py examples/airports_map.json
"""

from __future__ import annotations

import json
from pathlib import Path

from carto_like.maps import NamedMapManager

import account


def main() -> None:
    """Store the template and say what the map is called."""
    parser = account.parser(__doc__)
    parser.add_argument("template", type=Path, help="JSON file with the template")
    arguments = parser.parse_args()

    template = json.loads(arguments.template.read_text("utf-8"))
    named_map = NamedMapManager(account.connect(arguments)).create(template=template)
    print(f"Named map created: {named_map.template_id}")


if __name__ == "__main__":
    main()
