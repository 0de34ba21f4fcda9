"""Make a dataset public, private, or readable by those who have the link.

python examples/change_dataset_privacy.py airports LINK
"""

from __future__ import annotations

from carto_like.datasets import DatasetManager
from carto_like.permissions import LINK, PRIVATE, PUBLIC

import account


def main() -> None:
    """Change the privacy of one dataset and print what it is now."""
    parser = account.parser(__doc__)
    parser.add_argument("dataset", help="name of the dataset")
    parser.add_argument("privacy", type=str.upper, choices=[PUBLIC, PRIVATE, LINK])
    arguments = parser.parse_args()

    datasets = DatasetManager(account.connect(arguments))
    dataset = datasets.get(arguments.dataset)
    dataset.privacy = arguments.privacy
    dataset.save()
    print(f"{dataset.name} is now {datasets.get(arguments.dataset).privacy}")


if __name__ == "__main__":
    main()
