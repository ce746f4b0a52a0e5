"""The small changes of native rooms: all of them compiled in at once, each behind a switch.

Theory of operation.  A compiled core for each change would take hours.  So Cython's own parser reads the rooms, and on
the way from parser to compiler each place becomes `changed if change(number) else original`, where `change` is a C
macro that writes down that it was asked and compares the number with the one that is on.  One build then holds
all of them, and a forked process puts one into effect by setting a number.

The kinds are those of python_changes, in the words of the core (imin, div_ceil, share_floor, ...).  Places where a
constant is only an index 0, a size or a shift stay as they are: they are addresses, not rules.
"""

# ruff: noqa: N802  (a method is named for the kind of node that it walks)
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

from Cython.Compiler import ExprNodes, Main, Nodes
from Cython.Compiler.StringEncoding import EncodedString

COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
#: Which neighbour of a bound on the right need not be tried, because the comparison turned is the same.
SAME_BOUND = {"<": "one more", "<=": "one less", ">": "one less", ">=": "one more"}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
#: An attribute of a constant: what it need not become.
SAME = "exchange_same"
CALLS = {
    "ppm_ceil": "ppm_floor",
    "ppm_floor": "ppm_ceil",
    "div_ceil": "div_floor",
    "div_floor": "div_ceil",
    "share_ceil": "share_floor",
    "share_floor": "share_ceil",
    "imin": "imax",
    "imax": "imin",
}

#: Written at the end of each room, so that its lines keep their numbers.
DOOR = '''

cdef extern from *:
    """
    #ifndef EXCHANGE_CHANGES
    #define EXCHANGE_CHANGES 65536
    static int exchange_change_on = -1;
    static unsigned char exchange_changes_asked[EXCHANGE_CHANGES];
    #define EXCHANGE_CHANGE(number) (exchange_changes_asked[number] = 1, exchange_change_on == (number))
    #endif
    """
    bint exchange_change "EXCHANGE_CHANGE" (int number) noexcept nogil
'''
#: Written at the end of engine.pyx.
HANDLES = '''

cdef extern from *:
    int exchange_change_on
    unsigned char exchange_changes_asked[65536]

def switch_change(int number):
    """Puts a change into effect; -1: none."""
    global exchange_change_on
    exchange_change_on = number

def take_changes():
    """Numbers of the changes that were asked for since the last time."""
    cdef int number
    asked = set()
    for number in range(65536):
        if exchange_changes_asked[number]:
            exchange_changes_asked[number] = 0
            asked.add(number)
    return asked
'''


class Change(NamedTuple):
    """One change: where it stands, what it is."""

    number: int
    room: str
    line: int
    column: int
    function: str
    text: str  # of the line
    becomes: str
    place: int  # which one, of equal changes in the function

    @property
    def key(self) -> str:
        suffix = f" ({self.place})" if self.place > 1 else ""
        return f"{self.function}: {self.text} :: {self.becomes}{suffix}"


def is_node(value: object) -> bool:
    return isinstance(value, Nodes.Node)


def copied(node: Any) -> Any:
    """A tree of its own; what is not a node is shared."""
    if isinstance(node, list):
        return [copied(item) for item in node]
    if not is_node(node):
        return node
    other = copy.copy(node)
    for name in names_of(node):
        setattr(other, name, copied(getattr(node, name)))
    return other


def truth(node: Any) -> Any:
    """The same as a truth value, whatever C type it has."""
    return ExprNodes.NotNode(node.pos, operand=ExprNodes.NotNode(node.pos, operand=node))


def is_assertion(node: Any) -> bool:
    """Whether a statement only says what must hold, like an assert: `ensure` of something that calls nothing."""
    if not isinstance(node, ExprNodes.SimpleCallNode):
        return False
    name = getattr(node.function, "name", "")
    return name == "ensure" and not any(calls(argument) for argument in node.args)


def calls(node: Any) -> bool:
    """Whether a function is called in a tree."""
    if isinstance(node, list):
        return any(map(calls, node))
    if not is_node(node):
        return False
    if isinstance(node, ExprNodes.SimpleCallNode):
        return True
    return any(calls(getattr(node, name)) for name in names_of(node))


def both(node: Any) -> Any:
    """The operands of a node joined by `and`, as a condition: of `x == a and x == b` Cython makes `x in (a, b)`."""
    no = truth(ExprNodes.IntNode(node.pos, value="0"))
    return ExprNodes.CondExprNode(
        node.pos, condition=node.operand1, true_val=truth(node.operand2), false_val=no
    )


def one_if(node: Any) -> Any:
    """1 where a truth value holds, else 0."""
    one, zero = (ExprNodes.IntNode(node.pos, value=value) for value in "10")
    return ExprNodes.CondExprNode(node.pos, condition=node, true_val=one, false_val=zero)


def leave_out_same(node: Any) -> None:
    """Of a bound one of the neighbours is the comparison turned once more: x > 0 becomes x >= 0, and so does x > -1."""
    for bound, operator in (
        (node.operand2, node.operator),
        (node.operand1, MIRRORED.get(node.operator)),
    ):
        if isinstance(bound, ExprNodes.IntNode) and operator in SAME_BOUND:
            setattr(bound, SAME, SAME_BOUND[operator])


def names_of(node: Any) -> list[str]:
    names = node.child_attrs
    return list(names) if names else []


class Changer:
    """Walks the rooms as they are parsed, and collects their changes."""

    def __init__(self, folder: Path, rooms: set[str]) -> None:
        self.folder = folder
        self.rooms = rooms
        self.changes: list[Change] = []
        self.count = 0
        self.is_engine = False
        self.room = self.function = ""
        self.lines: list[str] = []
        self.seen: dict[tuple[str, str, str, str], int] = {}

    # --------------------------------------------------------------------------------- getting hold of them

    def install(self) -> None:
        """From now on Cython's parser gives rooms with all changes in them, where it is the engine that cimports them.

        Every extension parses its rooms anew: those of the others stay as they are, and so do the numbers.
        """
        parse = Main.Context.parse

        def parse_changed(context: Any, source: Any, *arguments: Any, **named: Any) -> Any:
            tree = parse(context, source, *arguments, **named)
            path = Path(source.filename)
            if path.suffix == ".pyx":
                self.is_engine = path.stem == "engine"
            is_room = path.stem in self.rooms and path.parent.name == "native"
            if path.suffix == ".pxd" and is_room and self.is_engine:
                self.begin(path)
                self.walk_functions(tree)
            return tree

        Main.Context.parse = parse_changed

    def begin(self, path: Path) -> None:
        self.room = path.stem
        self.lines = path.read_text("utf-8").splitlines()
        self.changes = [change for change in self.changes if change.room != self.room]
        self.seen = {equal: n for equal, n in self.seen.items() if equal[0] != self.room}

    def walk_functions(self, node: Any) -> None:
        if isinstance(node, Nodes.CFuncDefNode):
            declarator = node.declarator
            while not hasattr(declarator, "name"):
                declarator = declarator.base
            self.function = str(declarator.name)
            node.body = self.walk(node.body)
            return
        for name in names_of(node):
            value = getattr(node, name)
            for item in value if isinstance(value, list) else [value]:
                if is_node(item):
                    self.walk_functions(item)

    # ------------------------------------------------------------------------------------------- a place

    def is_on(self, pos: Any, number: int) -> Any:
        asked = ExprNodes.IntNode(pos, value=str(number))
        name = ExprNodes.NameNode(pos, name=EncodedString("exchange_change"))
        return ExprNodes.SimpleCallNode(pos, function=name, args=[asked])

    def taken(self, node: Any, becomes: str, *, left_out: bool = False) -> int:
        """A number for a change at a place; one that is left out is only counted."""
        line, column = node.pos[1], node.pos[2]
        text = self.lines[line - 1].strip()
        equal = (self.room, self.function, text, becomes)
        self.seen[equal] = self.seen.get(equal, 0) + 1
        if left_out:
            return -1
        number = self.count
        self.count += 1
        self.changes.append(
            Change(number, self.room, line, column, self.function, text, becomes, self.seen[equal])
        )
        return number

    def choice(self, walked: Any, other: Any, becomes: str, *, left_out: bool = False) -> Any:
        number = self.taken(walked, becomes, left_out=left_out)
        if left_out:
            return walked
        return ExprNodes.CondExprNode(
            walked.pos, condition=self.is_on(walked.pos, number), true_val=other, false_val=walked
        )

    def walk(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.walk(item) for item in node]
        if not is_node(node) or isinstance(node, UNTOUCHED):
            return node
        method = getattr(self, f"walk_{type(node).__name__}", None)
        if method is not None:
            return method(node)
        return self.walk_children(node)

    def walk_children(self, node: Any) -> Any:
        for name in names_of(node):
            setattr(node, name, self.walk(getattr(node, name)))
        return node

    def walk_PrimaryCmpNode(self, node: Any) -> Any:
        original = copied(node)
        if node.cascade is None:
            leave_out_same(node)
        self.walk_children(node)
        if node.cascade is not None or node.operator not in COMPARISONS:
            return node
        original.operator = COMPARISONS[node.operator]
        return self.choice(node, original, f"{node.operator} becomes {original.operator}")

    def walk_NumBinop(self, node: Any, other: str) -> Any:
        if any(
            isinstance(getattr(operand, "declarator", None), Nodes.CPtrDeclaratorNode)
            for operand in (node.operand1, node.operand2)
        ):
            return node  # a distance between addresses
        original = copied(node)
        self.walk_children(node)
        swapped = ExprNodes.binop_node(node.pos, other, original.operand1, original.operand2)
        return self.choice(node, swapped, f"{node.operator} becomes {other}")

    def walk_AddNode(self, node: Any) -> Any:
        return self.walk_NumBinop(node, "-")

    def walk_SubNode(self, node: Any) -> Any:
        return self.walk_NumBinop(node, "+")

    def walk_UnaryMinusNode(self, node: Any) -> Any:
        original = copied(node.operand)
        self.walk_children(node)
        return self.choice(node, original, "without its minus")

    def walk_NotNode(self, node: Any) -> Any:
        original = truth(copied(node.operand))
        self.walk_children(node)
        return self.choice(node, original, "without its not")

    def walk_BoolBinopNode(self, node: Any) -> Any:
        original = copied(node)
        self.walk_children(node)
        original.operator = "or" if node.operator == "and" else "and"
        becomes = f"{node.operator} becomes {original.operator}"
        other = truth(original) if node.operator == "and" else both(original)
        return self.choice(truth(node), other, becomes)

    def walk_CondExprNode(self, node: Any) -> Any:
        original = copied(node)
        self.walk_children(node)
        return self.choice(
            self.choice(node, original.true_val, "always the first"), original.false_val, "never it"
        )

    def walk_IntNode(self, node: Any) -> Any:
        if not node.value.isdigit() or int(node.value) >= 1 << 31:
            return node
        more = ExprNodes.IntNode(node.pos, value=str(int(node.value) + 1))
        less = ExprNodes.UnaryMinusNode(node.pos, operand=ExprNodes.IntNode(node.pos, value="1"))
        if int(node.value):
            less = ExprNodes.IntNode(node.pos, value=str(int(node.value) - 1))
        walked = node
        for other, becomes in ((more, "one more"), (less, "one less")):
            is_same = becomes == getattr(node, SAME, None)
            walked = self.choice(walked, other, f"{node.value} is {becomes}", left_out=is_same)
        return walked

    def walk_SimpleCallNode(self, node: Any) -> Any:
        name = getattr(node.function, "name", "")
        original = copied(node)
        node.args = self.walk(node.args)
        if name == "iabs":
            return self.choice(node, original.args[0], "without iabs")
        if name not in CALLS:
            return node
        original.function.name = EncodedString(CALLS[name])
        return self.choice(node, original, f"{name} becomes {CALLS[name]}")

    def walk_IndexNode(self, node: Any) -> Any:
        if not isinstance(node.index, ExprNodes.IntNode):
            node.index = self.walk(node.index)
        return node

    def walk_IfClauseNode(self, node: Any) -> Any:
        node.condition = self.walk(node.condition)
        node.body = self.walk(node.body)
        number = self.taken(node.condition, "the condition never holds")
        off = ExprNodes.NotNode(node.pos, operand=self.is_on(node.pos, number))
        node.condition = ExprNodes.BoolBinopNode(
            node.pos, operator="and", operand1=off, operand2=node.condition
        )
        return node

    def walk_ExprStatNode(self, node: Any) -> Any:
        if is_assertion(node.expr):
            return node
        self.walk_children(node)
        if not isinstance(node.expr, ExprNodes.SimpleCallNode):
            return node
        number = self.taken(node, "left out")
        off = ExprNodes.NotNode(node.pos, operand=self.is_on(node.pos, number))
        clause = Nodes.IfClauseNode(node.pos, condition=off, body=node)
        return Nodes.IfStatNode(node.pos, if_clauses=[clause], else_clause=None)

    def walk_InPlaceAssignmentNode(self, node: Any) -> Any:
        original = copied(node.rhs)
        node.rhs = self.walk(node.rhs)
        if node.operator in "+-":
            if isinstance(original, TRUTHS):  # Cython takes no truth and number for one type
                original, node.rhs = one_if(original), one_if(node.rhs)
            minus = ExprNodes.UnaryMinusNode(node.pos, operand=original)
            node.rhs = self.choice(node.rhs, minus, "added or taken with the other sign")
        return node

    def walk_SingleAssignmentNode(self, node: Any) -> Any:
        node.rhs = self.walk(node.rhs)
        return node

    def walk_CArrayDeclaratorNode(self, node: Any) -> Any:
        return node


TRUTHS = (ExprNodes.PrimaryCmpNode, ExprNodes.BoolBinopNode, ExprNodes.NotNode)
UNTOUCHED = (
    Nodes.CBaseTypeNode,  # the size of an array
    Nodes.AssertStatNode,
    ExprNodes.SizeofTypeNode,
    ExprNodes.SizeofVarNode,
    ExprNodes.IntBinopNode,
    ExprNodes.UnicodeNode,
    Nodes.CArrayDeclaratorNode,
)


def prepare(native: Path, rooms: set[str]) -> None:
    """Writes the doors into a copy of the rooms."""
    for room in rooms:
        path = native / f"{room}.pxd"
        names = "" if room == "units" else f"\nfrom native.units cimport {', '.join(CALLS)}\n"
        path.write_text(path.read_text("utf-8") + names + DOOR, encoding="utf-8")
    path = native / "engine.pyx"
    path.write_text(path.read_text("utf-8") + HANDLES, encoding="utf-8")
