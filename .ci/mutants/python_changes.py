"""The small changes of a Python module: which there are, and the module with one of them, or with all to be counted.

    <  <=     == !=     is, in, and their opposites          comparisons turned or moved by one
    ceil floor     min max     abs                           roundings and bounds exchanged, or left out
    + -     unary -     constants one more and one less      signs and numbers
    and or     not     conditions always, or never, true     guards and cases left out
    statements that call something, or add to something      left out, or the other sign

Asserts, annotations, and what stands outside of functions stay as they are.
"""

from __future__ import annotations

import ast
import copy
from bisect import bisect_right
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
CALLS = {
    "ppm_ceil": "ppm_floor",
    "ppm_floor": "ppm_ceil",
    "ceil_div": "floor_div",
    "floor_div": "ceil_div",
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
}
#: Of the comparisons with a bound: whether the bound is inside, and whether what is left of it is below it.
INCLUSIVE: dict[type[ast.cmpop], tuple[bool, bool]] = {
    ast.Lt: (False, True),
    ast.LtE: (True, True),
    ast.Gt: (False, False),
    ast.GtE: (True, False),
}
#: An attribute of a constant: what it need not become, because another change of its comparison is the same.
SAME = "same"
#: The name by which a counted module asks whether a change is on; it writes down that it was asked.
ASKED = "__change__"


class Change(NamedTuple):
    """One change: where it stands and what it is; ``key`` stays the same while its function does."""

    number: int
    line: int
    function: str
    was: str
    becomes: str
    place: int  # which one, of equal changes of the function

    @property
    def key(self) -> str:
        suffix = f" ({self.place})" if self.place > 1 else ""
        return f"{self.function}: {self.was} -> {self.becomes}{suffix}"


class Changer(ast.NodeTransformer):
    """Walks a module; ``apply`` decides what becomes of a place: (number, original, changed) -> node."""

    def __init__(
        self, apply: Callable[[int, ast.expr, ast.expr], ast.expr], first: int = 0
    ) -> None:
        self.apply = apply
        self.first = first  # number of the first change
        self.found: list[Change] = []
        self.functions: list[str] = []
        self.depth = 0
        self.seen: dict[tuple[str, str, str], int] = {}

    # ----------------------------------------------------------------------------- what is walked over

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.functions.append(node.name)
        self.depth += 1
        node.body = [self.visit(statement) for statement in node.body]
        self.depth -= 1
        self.functions.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.functions.append(node.name)
        node.body = [self.visit(statement) for statement in node.body]
        self.functions.pop()
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit(self, node: ast.AST) -> ast.AST:
        if self.depth == 0 and not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            return node
        return super().visit(node)  # type: ignore[no-any-return]

    # ------------------------------------------------------------------------------------- a place

    def offer(
        self,
        original: ast.expr,
        walked: ast.expr,
        changed: list[tuple[str, ast.expr]],
        was: str = "",
    ) -> ast.expr:
        """The place with each of its changes offered in turn, but for one that it is without."""
        for becomes, other in changed:
            before = was or ast.unparse(original)
            function = ".".join(self.functions)
            equal = (function, before, becomes)
            self.seen[equal] = self.seen.get(equal, 0) + 1
            if becomes == getattr(original, SAME, None):
                continue
            number = self.first + len(self.found)
            self.found.append(
                Change(number, original.lineno, function, before, becomes, self.seen[equal])
            )
            ast.copy_location(other, original)
            walked = self.apply(number, walked, other)
        return walked

    def offer_plain(self, original: ast.expr, walked: ast.expr, *others: ast.expr) -> ast.expr:
        return self.offer(original, walked, [(ast.unparse(other), other) for other in others])

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        original = copy.deepcopy(node)
        leave_out_same(node)
        self.generic_visit(node)
        walked: ast.expr = node
        for at, operator in enumerate(original.ops):
            other = copy.deepcopy(original)
            other.ops[at] = COMPARISONS[type(operator)]()
            walked = self.offer_plain(original, walked, other)
        return walked

    def visit_Call(self, node: ast.Call) -> ast.AST:
        original = copy.deepcopy(node)
        self.generic_visit(node)
        name = original.func.id if isinstance(original.func, ast.Name) else ""
        if name in CALLS:
            other = copy.deepcopy(original)
            other.func = ast.Name(CALLS[name], ast.Load())
            return self.offer_plain(original, node, other)
        if name == "abs":
            return self.offer_plain(original, node, copy.deepcopy(original.args[0]))
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        original = copy.deepcopy(node)
        self.generic_visit(node)
        other = copy.deepcopy(original)
        match original.op:
            case ast.Add():
                other.op = ast.Sub()
            case ast.Sub():
                other.op = ast.Add()
            case ast.FloorDiv():
                up = ast.BinOp(ast.UnaryOp(ast.USub(), other.left), ast.FloorDiv(), other.right)
                return self.offer_plain(original, node, ast.UnaryOp(ast.USub(), up))
            case _:
                return node
        return self.offer_plain(original, node, other)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        original = copy.deepcopy(node)
        self.generic_visit(node)
        if isinstance(original.op, ast.USub | ast.Not):
            return self.offer_plain(original, node, copy.deepcopy(original.operand))
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool):
            return self.offer_plain(node, node, ast.Constant(not node.value))
        if isinstance(node.value, int):
            others = (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
            return self.offer_plain(node, copy.deepcopy(node), *others)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        original = copy.deepcopy(node)
        self.generic_visit(node)
        other = copy.deepcopy(original)
        other.op = ast.Or() if isinstance(original.op, ast.And) else ast.And()
        return self.offer_plain(original, node, other)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        original = copy.deepcopy(node)
        self.generic_visit(node)
        return self.offer_plain(
            original, node, copy.deepcopy(original.body), copy.deepcopy(original.orelse)
        )

    def visit_If(self, node: ast.If) -> ast.AST:
        test = copy.deepcopy(node.test)
        self.generic_visit(node)
        was = f"if {ast.unparse(test)}"
        others: list[tuple[str, ast.expr]] = [("never", ast.Constant(False))]
        if not isinstance(node.body[-1], ast.Return | ast.Continue | ast.Break | ast.Raise):
            others.append(("always", ast.Constant(True)))
        node.test = self.offer(test, node.test, others, was)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if not isinstance(node.value, ast.Call):
            return node
        original = copy.deepcopy(node.value)
        self.generic_visit(node)
        was = ast.unparse(original)
        node.value = self.offer(original, node.value, [("left out", ast.Constant(None))], was)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        value = copy.deepcopy(node.value)
        was = ast.unparse(node)
        node.value = self.visit(node.value)
        if isinstance(node.op, ast.Add | ast.Sub):
            other = ast.UnaryOp(ast.USub(), copy.deepcopy(value))
            node.value = self.offer(value, node.value, [("the other sign", other)], was)
        return node


def leave_out_same(node: ast.Compare) -> None:
    """Of a bound one of the neighbours is the comparison turned once more: x > 0 becomes x >= 0, and so does x > -1."""
    for bound, operator, nearer in (
        (node.comparators[-1], node.ops[-1], 1),
        (node.left, node.ops[0], -1),
    ):
        if type(operator) not in INCLUSIVE or not isinstance(bound, ast.Constant):
            continue
        includes, is_below = INCLUSIVE[type(operator)]
        further = nearer if is_below != includes else -nearer
        setattr(bound, SAME, str(bound.value + further))


def changes_of(source: str) -> list[Change]:
    """Every change that the module offers, by number.

    >>> for change in changes_of("def is_below(a, b):\\n    return a < b\\n"):
    ...     print(change.line, change.key)
    2 is_below: a < b -> a <= b
    """
    changer = Changer(lambda number, original, changed: original)
    changer.visit(ast.parse(source))
    return changer.found


@cache
def first_changes(source: str) -> list[int]:
    """Of each statement of the module the number of its first change, and at the end how many there are."""
    found = [0]
    for statement in ast.parse(source).body:
        changer = Changer(lambda number, original, changed: original)
        changer.visit(statement)
        found.append(found[-1] + len(changer.found))
    return found


def changed(source: str, number: int) -> ast.Module:
    """The module with one change; only the statement that holds it is walked."""
    tree, firsts = ast.parse(source), first_changes(source)
    at = bisect_right(firsts, number) - 1
    changer = Changer(lambda n, original, other: other if n == number else original, firsts[at])
    tree.body[at] = changer.visit(tree.body[at])  # type: ignore[call-overload]
    return ast.fix_missing_locations(tree)


def counted(source: str, first: int) -> ast.Module:
    """The module as it is, asking at each place whether its change (numbered from ``first``) is on."""

    def ask(number: int, original: ast.expr, other: ast.expr) -> ast.expr:
        test = ast.Call(ast.Name(ASKED, ast.Load()), [ast.Constant(number)], [])
        return ast.IfExp(test, other, original)

    tree = Changer(ask, first).visit(ast.parse(source))
    assert isinstance(tree, ast.Module)
    return ast.fix_missing_locations(tree)
