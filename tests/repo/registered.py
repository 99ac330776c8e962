"""Everything that has to be complete, read where it is declared: RPCs, commands and their tests."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FileDescriptor, MethodDescriptor

import tollkeeper.rpc.services
import tollkeeper.v1
from tests.repo.tree import parse, python_files

RUNNERS = {"here", "json", "run", "serving", "tollkeeper"}
"""The functions and methods of the tests that run a command, by their names."""


def proto_files() -> list[FileDescriptor]:
    """Return the descriptor of every proto."""
    return [
        module.DESCRIPTOR
        for module in modules_of(tollkeeper.v1)
        if module.__name__.endswith("_pb2")
    ]


def every_rpc() -> dict[str, MethodDescriptor]:
    """Return every RPC of every service, by `Service.Method`."""
    return {
        f"{service.name}.{method.name}": method
        for file in proto_files()
        for service in file.services_by_name.values()
        for method in service.methods
    }


def proto_enum(name: str) -> EnumDescriptor:
    """Return an enum that stands on its own in a proto."""
    found = [file.enum_types_by_name.get(name) for file in proto_files()]
    return next(each for each in found if each is not None)


def names_of(enum: EnumDescriptor, prefix: str) -> dict[str, int]:
    """Return the values of an enum without the prefix of their names, and without UNSPECIFIED."""
    return {each.name.removeprefix(prefix): each.number for each in enum.values if each.number}


def implemented_rpcs() -> set[str]:
    """Return the RPCs that a servicer of ours has a method for."""
    services = {rpc.partition(".")[0] for rpc in every_rpc()}
    return {
        f"{base.__name__.removesuffix('Servicer')}.{method}"
        for module in modules_of(tollkeeper.rpc.services)
        for _, servicer in inspect.getmembers(module, inspect.isclass)
        if servicer.__module__ == module.__name__
        for base in servicer.__mro__[1:]
        if base.__name__.removesuffix("Servicer") in services
        for method in vars(servicer)
    }


def attributes_of(*folders: str) -> set[str]:
    """Return every name that stands after a dot in the code below `folders`."""
    return {
        node.attr
        for path in python_files(*folders)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute)
    }


def command_lines() -> set[str]:
    """Return the words that tests run a command with: those of a call of a runner, up to the first that varies."""
    return {
        " ".join(leading_words(node.args))
        for path in python_files("tests")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in RUNNERS
    }


def leading_words(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            return
        yield node.value


def modules_of(package: ModuleType) -> list[Any]:
    """Import and return the modules of a package."""
    return [
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
