"""Variables as Windows keeps them: names in any case, values that name others. Pure, so tested everywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["Stored", "expanded", "merged"]

Stored = Mapping[str, tuple[str, bool]]
"""Name → value, and whether that names others (`REG_EXPAND_SZ`)."""

_NAME = re.compile(r"%([^%=]+)%")
_JOINED = frozenset({"PATH", "LIBPATH", "OS2LIBPATH"})
"""Of these the user's value follows the machine's; of all others it replaces it."""


def expanded(value: str, env: Mapping[str, str]) -> str:
    """`value` with `%NAME%` replaced by what `env`, whose names are in upper case, has for it."""
    return _NAME.sub(lambda found: env.get(found[1].upper(), found[0]), value)


def merged(layers: Sequence[Stored], own: Mapping[str, str]) -> dict[str, str]:
    """What a new logon would begin with: `layers` from the machine's to the user's, over `own`.

    Names come out in upper case, as `os.environ` has them. `own` has what no layer keeps: SYSTEMROOT, say. A
    path of the user's follows the machine's. What names others is expanded by what is known at its place: all
    plain values first, then the machine's, then the user's.
    """
    env = {name.upper(): value for name, value in own.items()}
    set_here: set[str] = set()
    for layer in layers:
        ordered = sorted(layer.items(), key=lambda item: item[1][1])
        for name, (value, names_others) in ordered:
            key = name.upper()
            found = expanded(value, env) if names_others else value
            follows = key in _JOINED and key in set_here and env[key]
            env[key] = f"{env[key].rstrip(';')};{found}" if follows else found
            set_here.add(key)
    return env
