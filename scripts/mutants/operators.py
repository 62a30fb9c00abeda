"""Faults that cosmic-ray has no operator for, in its interface: those of people who write tensors and statistics."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import parso
from cosmic_ray.operators.operator import Example, Operator

Position = tuple[tuple[int, int], tuple[int, int]]

OTHERS = {
    "amax": "mean",
    "amin": "amax",
    "max": "min",
    "min": "max",
    "maximum": "minimum",
    "minimum": "maximum",
    "mean": "sum",
    "sum": "mean",
    "argmax": "argmin",
    "argmin": "argmax",
    "any": "all",
    "all": "any",
    "floor": "ceil",
    "ceil": "floor",
    "sin": "cos",
    "cos": "sin",
    "cumsum": "cumprod",
    "median": "mean",
    "nanmean": "nanmax",
    "first": "last",
}
"""A reduction or function, and one that is easily taken for it."""

JOINED = {"arith_expr", "term", "expr", "and_expr", "xor_expr", "and_test", "or_test"}
"""Operands with operators between them."""


class SwapFunction(Operator):
    """``x.amax(1)`` → ``x.mean(1)`` and the like, see ``OTHERS``."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "name" and node.value in OTHERS and _is_called(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = OTHERS[node.value]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("x.amax(1)", "x.mean(1)"),)


class DropOperand(Operator):
    """``a / b`` → ``a``, ``a & ~b`` → ``~b``: something does not count."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type in JOINED:
            for operand in node.children[::2]:
                yield operand.start_pos, operand.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        at = 2 * index
        rest = node.children[2:] if at == 0 else node.children[: at - 1] + node.children[at + 1 :]
        code = "".join(child.get_code() for child in rest).strip()
        return _parsed(f"({code})", node)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("x = a / b", "x = (b)"), Example("x = a / b", "x = (a)", occurrence=1))


class DropArgument(Operator):
    """``f(x, scale=2)`` → ``f(x)``: an option is not handed on."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        for argument in _named(node):
            yield argument.start_pos, argument.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        argument = _named(node)[index]
        children = node.children
        if node.type == "trailer":  # the only argument
            children[1:2] = []
        else:
            at = children.index(argument)
            first = at if at + 1 < len(children) else at - 1  # with the comma after it, or before the last
            del children[first : first + 2]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("f(x, scale=2)", "f(x)"), Example("f(scale=2)", "f()"))


class DropElement(Operator):
    """``for m in (a, b)`` → ``for m in (b,)`` or ``(a,)``: something is not gone through."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        for element in _gone_through(node):
            yield element.start_pos, element.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        left = [element for k, element in enumerate(_gone_through(node)) if k != index]
        code = ", ".join(element.get_code().strip() for element in left)
        node.children[3] = _parsed(f"({code},)", node.children[3])
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("[f(m) for m in (a, b)]", "[f(m) for m in (b,)]"),)


OWN: dict[str, type[Operator]] = {op.__name__: op for op in (SwapFunction, DropOperand, DropArgument, DropElement)}


def _parsed(code: str, instead_of: Any) -> Any:
    """An expression in brackets, as far from what is before it as that which it takes the place of."""
    bracket = parso.parse(code).get_first_leaf()
    bracket.prefix = instead_of.get_first_leaf().prefix
    return bracket.parent


def _is_called(name: Any) -> bool:
    """Whether this name is what a call calls: ``f`` in ``f(…)`` and in ``x.f(…)``."""
    following = name.get_next_leaf()
    return following is not None and following.value == "("


def _named(node: Any) -> list[Any]:
    """The keyword arguments of a call's list of arguments."""
    if node.type == "arglist":
        children = node.children
    elif node.type == "trailer" and len(node.children) == 3 and node.children[0].value == "(":
        children = node.children[1:2]
    else:
        return []
    return [child for child in children if child.type == "argument" and child.children[1] == "="]


def _gone_through(node: Any) -> list[Any]:
    """The elements of the tuple or list that a ``for`` runs over, if it is written out there."""
    if node.type not in ("sync_comp_for", "for_stmt"):
        return []
    sequence = node.children[3]
    if sequence.type != "atom" or len(sequence.children) != 3 or sequence.children[1].type != "testlist_comp":
        return []
    elements: list[Any] = copy.copy(sequence.children[1].children[::2])
    plain = all(leaf.type != "sync_comp_for" for leaf in sequence.children[1].children)
    return elements if plain and len(elements) > 1 else []
