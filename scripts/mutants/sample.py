"""Which mutants a room has, and a seeded sample of them.

A place is a part of one line and a kind of fault (an operator, a number, an argument …); of the faults that are
possible in a place one is drawn, so that ``+`` with its eleven replacements counts no more than ``not`` with one.
What is drawn depends on the seed, the file and the text of the line: a change elsewhere leaves a mutant in the sample.

Left out, because no test can or should tell: annotations (strings here, never evaluated), arguments of decorators
(``frozen``, ``slots``, sizes of caches), ``assert`` (there for the type checker), ``if TYPE_CHECKING``, and the
arguments ``device``, ``dtype`` and ``strict`` of a call, which change where and how finely a thing is computed, and
whether a mistake in the code itself would be noticed sooner.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.provider import OperatorProvider
from operators import OWN

PLAIN_ARGUMENTS = {"device", "dtype", "strict"}


@dataclass(frozen=True)
class Mutant:
    """One changed file.

    Attributes:
        id: the same as long as file, line and fault are.
        file: from the root of the repository.
        first_line, last_line: of what is changed, from 1 on.
        operator: its name.
        code: the whole file, changed.
        change: the lines before and after, for people.
    """

    id: str
    file: str
    first_line: int
    last_line: int
    operator: str
    code: str
    change: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.first_line}"


@dataclass(frozen=True)
class _Fault:
    """A fault before it is made: the operator and which of its occurrences in the file."""

    operator: str
    occurrence: int
    start: tuple[int, int]
    end: tuple[int, int]
    rank: str


def draw(root: Path, files: Sequence[str], count: int, seed: int) -> list[Mutant]:
    """``count`` mutants of these files, fewer if there are no more.

    Args:
        files: patterns from the root; after ``::`` names of functions, outside of which nothing is changed:
            ``avssl/tasks/x.py::loss,_all_pairs``.
    """
    drawn: list[tuple[str, str, str, _Fault]] = []
    for pattern in files:
        glob, _, names = pattern.partition("::")
        paths = sorted(root.glob(glob))
        if not paths:
            raise SystemExit(f"rooms.toml: no file is called {glob}")
        for path in paths:
            file, source = str(path.relative_to(root)), path.read_text()
            allowed = _lines_of(source, names.split(",")) if names else None
            drawn += [(fault.rank, file, source, fault) for fault in _faults(file, source, seed, allowed)]
    made: list[Mutant] = []
    for _, file, source, fault in sorted(drawn, key=lambda one: one[0]):
        mutant = _make(file, source, fault)
        if mutant is not None:
            made.append(mutant)
        if len(made) == count:
            break
    return sorted(made, key=lambda mutant: (mutant.file, mutant.first_line, mutant.id))


def _faults(file: str, source: str, seed: int, allowed: set[int] | None) -> list[_Fault]:
    """One fault of each place."""
    tree, lines = get_ast(source), source.splitlines()
    nodes, closed = list(ast_nodes(tree)), list(_closed(source))
    best: dict[tuple[Any, ...], _Fault] = {}
    for name, operator in _operators():
        occurrence = -1
        for node in nodes:
            for way, (start, end) in enumerate(operator.mutation_positions(node)):
                occurrence += 1
                if any(first <= start and end <= last for first, last in closed):
                    continue
                if allowed is not None and start[0] not in allowed:
                    continue
                text = lines[start[0] - 1]
                nth = lines[: start[0] - 1].count(text)
                parts = (seed, file, text.strip(), nth, start[1] - len(text) + len(text.lstrip()), name, way)
                rank = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).hexdigest()
                place = (start, end, name.split("_")[0])
                fault = _Fault(name, occurrence, start, end, rank)
                if place not in best or rank < best[place].rank:
                    best[place] = fault
    return list(best.values())


def _make(file: str, source: str, fault: _Fault) -> Mutant | None:
    """The mutant, or None where it is no Python or the same program."""
    operator = dict(_operators())[fault.operator]
    try:
        code = MutationVisitor.mutate_code(source, operator, fault.occurrence)
    except AttributeError:  # cosmic-ray 8.7's ExceptionReplacer stumbles over dotted names
        return None
    if code is None:
        return None
    try:
        if ast.dump(ast.parse(code)) == ast.dump(ast.parse(source)):
            return None
    except SyntaxError:
        return None
    before, after = source.splitlines(), code.splitlines()
    difference = difflib.unified_diff(before, after, n=0, lineterm="")
    change = [line for line in difference if not line.startswith(("---", "+++", "@@"))]
    return Mutant(fault.rank, file, fault.start[0], fault.end[0], fault.operator, code, "\n".join(change))


def _operators() -> Iterator[tuple[str, Operator]]:
    provider = OperatorProvider()
    for name in provider:
        if not name.startswith("Variable"):  # need the name of a variable
            yield name, provider[name]()
    for name, own in OWN.items():
        yield name, own()


def _closed(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Stretches of the source in which nothing is changed, see the top of this file."""
    for node in ast.walk(ast.parse(source)):
        shut: list[ast.AST] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = (
                *node.args.posonlyargs,
                *node.args.args,
                *node.args.kwonlyargs,
                node.args.vararg,
                node.args.kwarg,
            )
            shut += [one.annotation for one in arguments if one is not None and one.annotation is not None]
            shut += [node.returns] if node.returns is not None else []
        if isinstance(node, ast.AnnAssign):
            shut.append(node.annotation)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            shut += [argument for one in node.decorator_list if isinstance(one, ast.Call) for argument in one.keywords]
        if isinstance(node, ast.Call):
            shut += [one for one in node.keywords if one.arg in PLAIN_ARGUMENTS]
        if isinstance(node, ast.Assert):
            shut.append(node)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            shut += node.body
        for one in shut:
            # ast counts columns in bytes, parso in characters.
            yield _position(source, one.lineno, one.col_offset), _position(source, one.end_lineno, one.end_col_offset)


def _position(source: str, line: int, column: int) -> tuple[int, int]:
    return line, len(source.splitlines()[line - 1].encode()[:column].decode())


def _lines_of(source: str, names: Sequence[str]) -> set[int]:
    """Numbers of the lines of functions and classes of these names."""
    found: set[int] = set()
    missing = set(names)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names:
            found.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            missing.discard(node.name)
    if missing:
        raise SystemExit(f"rooms.toml: there is no function {sorted(missing)[0]}")
    return found
