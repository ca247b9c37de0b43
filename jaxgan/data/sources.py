"""Sources: what a system is trained on, one set of examples or several by name, such as two domains."""

import hashlib
import json
from collections.abc import Mapping

from jaxgan.data.examples import Examples

Sources = Examples | Mapping[str, Examples]


def by_name(examples: Sources) -> Mapping[str, Examples]:
    """Returns the sources by name; a set that is the only one has the name ""."""
    return {"": examples} if isinstance(examples, Examples) else examples


def first_source(examples: Sources) -> Examples:
    """Returns the examples, or those of the first of several sources."""
    return next(iter(by_name(examples).values()))


def longest(examples: Sources) -> int:
    """Returns the number of examples of the longest source, which is what a pass over several of them takes."""
    return max(map(len, by_name(examples).values()))


def digest_of(examples: Sources) -> str:
    """Returns the digest of the examples, or of all sources and their names."""
    if isinstance(examples, Examples):
        return examples.digest
    return hashlib.sha256(json.dumps({name: part.digest for name, part in examples.items()}).encode()).hexdigest()
