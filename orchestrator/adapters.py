"""The providers of this host: those of this version, of installed packages, and of the owner's own files.

Of the same name an owner's file counts before a built-in adapter, for it is the owner's word; a package
may take no name that there is already, for it may have been installed for another reason. `command` is
what `-- ARGV` means and is nobody's to replace.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from spawners.providers.base import Provider
from spawners.providers.defined import DefinitionError, defined
from spawners.providers.registry import BUILTIN, Registry

__all__ = ["GROUP", "find_providers", "folder_of"]

GROUP = "muster.providers"
"""Entry points of this group name an object that is a `Provider`."""

SUFFIX = ".toml"
RESERVED = "command"
MEMBERS = tuple(name for name in vars(Provider) if not name.startswith("_"))


def folder_of(config_folder: str) -> str:
    """Where an owner's files are: one a provider, named like it."""
    return os.path.join(config_folder, "providers")


def find_providers(config_folder: str, packages: Iterable[EntryPoint] | None = None) -> Registry:
    """Every provider of this host (`packages`: the entry points, those of this installation by default).

    One that cannot be used is left out and told in `problems`; its name is unknown then, unless it would
    have replaced another: that one is left out too, for it is not what the owner wants to run.
    """
    found: dict[str, Provider] = {provider.name: provider for provider in BUILTIN}
    sources: dict[str, str] = {}
    problems: list[str] = []
    for entry in entry_points(group=GROUP) if packages is None else packages:
        source = f"package {entry.dist.name}" if entry.dist else f"entry point {entry.value}"
        try:
            provider = _loaded(entry)
        except Exception as error:  # noqa: BLE001 - the edge to a stranger's code
            problems.append(f"the provider {entry.name!r} of {source} cannot be used: {error or repr(error)}")
            continue
        if provider.name in found:
            problems.append(
                f"{source} has a provider {provider.name!r}, which there is already; it is left out"
            )
            continue
        found[provider.name], sources[provider.name] = provider, source
    for path in _files(folder_of(config_folder), problems):
        name = os.path.basename(path).removesuffix(SUFFIX)
        found.pop(name, None) if name != RESERVED else None
        try:
            found[name] = _read(name, path)
            sources[name] = path
        except (DefinitionError, OSError, UnicodeDecodeError) as error:
            problems.append(f"{path}: {error}; mend it, then restart the daemon")
    return Registry(found.values(), sources, problems)


def _loaded(entry: EntryPoint) -> Provider:
    """The provider that an entry point names. Raises whatever its package raises, and `TypeError`."""
    provider: Provider = entry.load()
    missing = [name for name in MEMBERS if not hasattr(provider, name)]
    if missing:
        raise TypeError(f"it is no provider: it has no {', '.join(missing)}")
    if provider.name != entry.name:
        raise TypeError(f"it calls itself {provider.name!r}; the entry point must have the same name")
    return provider


def _files(folder: str, problems: list[str]) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems.append(f"cannot read {folder}: {error.strerror}")
        return []
    return [os.path.join(folder, name) for name in names if name.endswith(SUFFIX) and name[0] != "."]


def _read(name: str, path: str) -> Provider:
    if name == RESERVED:
        raise DefinitionError(
            f"{RESERVED!r} is what `-- ARGV` means and cannot be replaced; use another name"
        )
    with open(path, encoding="utf-8") as file:
        return defined(name, file.read())
