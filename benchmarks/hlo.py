"""What is in a compiled program, read from XLA's text of it.

A program is a step within a loop, so everything is counted in the body of that loop, as often as a step runs it: what
is in an inner loop of five turns counts five times.
"""

import collections
import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s64": 8, "u64": 8, "f64": 8}
FREE = ("parameter", "tuple", "get-tuple-element", "bitcast", "constant", "while", "conditional", "call")
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a program.

    Attributes:
      name: as others refer to it.
      shapes: of its results, as (type, sizes, layout).
      opcode: what it does.
      operands: the names of what it reads.
      text: the whole line.
      place: its number among its computation's parameters, for a parameter.
    """

    name: str
    shapes: tuple[tuple[str, tuple[int, ...], str], ...]
    opcode: str
    operands: tuple[str, ...]
    text: str
    place: int | None = None

    @property
    def size(self) -> int:
        """The bytes of its results."""
        return sum(math.prod(sizes) * BYTES.get(kind, 4) for kind, sizes, _ in self.shapes)

    @property
    def layer(self) -> str:
        """The layer that it comes from, such as Generator/ConvTranspose_1, and that it is a gradient; or ""."""
        path = self.attribute(r'op_name="([^"]*)"')
        modules = re.findall(r"[A-Z]\w*(?:_\d+)?(?=[)/]|$)", path)
        if not modules:
            return ""
        gradient = " (gradient)" if "transpose(jvp(" in path else ""
        return "/".join(dict.fromkeys((modules[0], modules[-1]))) + gradient

    def attribute(self, pattern: str) -> str:
        """Returns the first group of a pattern within the line, or ""."""
        found = re.search(pattern, self.text)
        return found[1] if found else ""


_LINE = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_OPCODE = re.compile(r"(?:^|[\s)}\]])([a-z][\w\-]*)\(")
_SHAPE = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\](?:\{([^}]*)\})?")


class Program:
    """A compiled program, as computations of instructions."""

    def __init__(self, text: str) -> None:
        self.computations: dict[str, dict[str, Instruction]] = {}
        self.entry, current = "", None
        for line in text.splitlines():
            header = re.match(r"^(ENTRY )?%?([\w.\-]+) .*\{$", line)
            if header and " = " not in line.partition("{")[0]:
                current = self.computations.setdefault(header[2], {})
                self.entry = header[2] if header[1] else self.entry
            elif line.startswith("}"):
                current = None
            elif current is not None:
                instruction = _read(line)
                if instruction:
                    current[instruction.name] = instruction

    def step(self) -> list[tuple[int, str, Instruction]]:
        """Lists the instructions of a step: how often each runs, in which computation, and what it is.

        Raises:
          ValueError: where the program has no loop.
        """
        loops = [i for i in self.computations[self.entry].values() if i.opcode == "while"]
        if not loops:
            raise ValueError("the program has no loop of steps")
        body = max((self._called(loop, "body") for loop in loops), key=lambda name: len(self.computations[name]))
        return list(self._walk(body, 1))

    def _called(self, instruction: Instruction, role: str) -> str:
        return instruction.attribute(rf"\b{role}=%?([\w.\-]+)")

    def _walk(self, name: str, times: int) -> Iterator[tuple[int, str, Instruction]]:
        for instruction in self.computations[name].values():
            if instruction.opcode == "while":
                turns = int(instruction.attribute(r"known_trip_count\D*(\d+)") or 1)
                yield from self._walk(self._called(instruction, "body"), times * turns)
            elif instruction.opcode in ("call", "async-start"):
                for role in ("to_apply", "calls", "called_computation"):
                    if self._called(instruction, role):
                        yield from self._walk(self._called(instruction, role), times)
            else:
                yield times, name, instruction

    def inside(self, instruction: Instruction) -> Iterator[Instruction]:
        """Lists what a fusion is made of, or the instruction itself."""
        called = self._called(instruction, "calls") if instruction.opcode == "fusion" else ""
        if not called:
            yield instruction
        for inner in self.computations.get(called, {}).values():
            yield from self.inside(inner) if inner.opcode == "fusion" else (inner,)

    def traffic(self, computation: str, instruction: Instruction) -> int:
        """Counts the bytes that an instruction reads and writes; of what it gathers from, those that it takes."""
        if instruction.opcode in FREE:
            return 0
        shapes = self.computations[computation]
        read = [shapes[name].size if name in shapes else 0 for name in instruction.operands]
        called = self.computations.get(self._called(instruction, "calls"), {})
        for inner in called.values():
            if inner.place is not None and inner.place < len(read):
                users = [i for i in called.values() if inner.name in i.operands]
                if users and all(i.opcode in ("gather", "dynamic-slice", "slice") for i in users):
                    read[inner.place] = min(read[inner.place], sum(i.size for i in users))
        return instruction.size + sum(read)


def _read(line: str) -> Instruction | None:
    found = _LINE.match(line)
    if not found:
        return None
    name, rest = found.groups()
    end = _end_of_type(rest)
    opcode = re.match(r"([a-z][\w\-]*)\((.*)", rest[end + 1 :])
    if not opcode:
        return None
    shapes = tuple(
        (kind, tuple(map(int, filter(None, sizes.split(",")))), layout)
        for kind, sizes, layout in _SHAPE.findall(rest[:end])
    )
    arguments = opcode[2].partition(")")[0]
    place = int(arguments) if opcode[1] == "parameter" else None
    return Instruction(name, shapes, opcode[1], tuple(re.findall(r"%([\w.\-]+)", arguments)), line, place)


def _end_of_type(text: str) -> int:
    """Where the type ends that a text begins with: a tuple's has parentheses and spaces of its own."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "({[") - (letter in ")}]")
        if depth == 0 and letter == " ":
            return place
    return len(text)


def convolutions(program: Program, kernels: set[int], kind: str) -> list[dict[str, Any]]:
    """Lists the convolutions of a step.

    Args:
      program: the compiled program.
      kernels: the sides of the networks' kernels.
      kind: the type to compute in, "f32" or "bf16".

    Returns:
      Of each its kind (cuDNN's, or "convolution"), layer, window, types and layout, how often a step runs it, and
      `odd`, why no library has a fast kernel for it: [] on a GPU if it has one. A TPU has one kind, and nothing is odd.
    """
    rows = []
    for times, _, outer in program.step():
        for one in program.inside(outer):
            library = one.attribute(r'custom_call_target="__cudnn\\?\$conv(\w+)"')
            if not library and (one.opcode != "convolution" or not one.attribute(r"window=\{([^}]+)\}")):
                continue
            window = one.attribute(r"window=\{([^}]*)\}")
            size = tuple(map(int, (one.attribute(r"size=([\dx]+)") or "1x1").split("x")))
            result, sizes, layout = one.shapes[0]
            odd = []
            if library:
                if "rhs_dilate" in window:
                    odd.append("dilated window")
                if max(size) > max(kernels, default=0):
                    odd.append("window larger than any kernel")
                elif not any(size == (side, side) for side in kernels):
                    odd.append("window of no kernel")
                if result != kind:
                    odd.append(f"computed in {result}")
            rows.append(
                {
                    "kind": library or "convolution",
                    "layer": one.layer or outer.layer,
                    "window": window,
                    "result": f"{result}{list(sizes)}",
                    "layout": layout,
                    "axes": one.attribute(r"dim_labels=([\w\->?]+)"),
                    "times": times,
                    "odd": odd,
                }
            )
    return rows


def counts(program: Program) -> dict[str, int]:
    """Counts what a step runs: calls of libraries, products of matrices, fusions, copies, transposes and casts."""
    found: collections.Counter[str] = collections.Counter()
    for times, _, one in program.step():
        target = one.attribute(r'custom_call_target="([^"]+)"')
        made_of = list(program.inside(one))
        products = "cublas" in target or sum(map(_is_product, made_of))
        found["matrix_products"] += times * products
        if "cudnn" in target:
            found["cudnn_calls"] += times
        elif not products and one.opcode in ("fusion", "copy"):
            found["fusions" if one.opcode == "fusion" else "copies"] += times
        for inner in made_of:
            if inner.opcode == "transpose":
                found["transposes"] += times
            if inner.opcode == "convert" and inner.operands:
                types = {"f32", "bf16"}
                into = inner.shapes[0][0]
                source = inner.attribute(r"convert\(%?([\w.\-]+)\)")
                came = _type_of(program, one, source)
                if {into, came} == types:
                    found["casts_to_bfloat16" if into == "bf16" else "casts_to_float32"] += times
    names = (
        "cudnn_calls",
        "matrix_products",
        "fusions",
        "copies",
        "transposes",
        "casts_to_bfloat16",
        "casts_to_float32",
    )
    return {name: found[name] for name in names}


PURPOSES = {  # in the path of an operation, the first that is found; the names of scopes are the library's
    "batch normalisation": r"BatchNorm",
    "spectral normalisation": r"\.effective/",
    "draws": r"threefry|random_bits|_normal|_uniform|_bernoulli|erf_inv",
    "optimisers": r"/optimizer/",
    "metrics": r"/metrics/",
    "batches": r"/batch/",
    "casts of weights": r"\.weights/convert_element_type",
    "layers, backward": r"transpose\(jvp\([A-Z]",
    "layers, forward": r"[A-Z]\w*\)?/",
}


def purposes(program: Program) -> dict[str, int]:
    """Counts what the kernels of a step are for, the most first.

    A fusion counts for what its result is for, and may do more than that. The rest is losses, sums of gradients, and
    what XLA says nothing of.
    """
    found: collections.Counter[str] = collections.Counter()
    for times, _, one in program.step():
        if one.opcode not in FREE:
            found[_purpose(program, one)] += times
    return dict(found.most_common())


def _purpose(program: Program, one: Instruction) -> str:
    made_of = list(program.inside(one))
    target = one.attribute(r'custom_call_target="([^"]+)"')
    if "cudnn" in target or any(inner.opcode == "convolution" and not _is_product(inner) for inner in made_of):
        return "convolutions"
    if "cublas" in target or any(map(_is_product, made_of)):
        return "matrix products"
    if one.opcode.startswith(COLLECTIVES):
        return "collectives"
    paths = [inner.attribute(r'op_name="([^"]*)"') for inner in (one, *reversed(made_of))]
    path = next(filter(None, paths), "")
    if one.opcode == "copy" or not path:
        return "copies" if one.opcode == "copy" else "rest"
    return next((purpose for purpose, pattern in PURPOSES.items() if re.search(pattern, path)), "rest")


def _is_product(one: Instruction) -> bool:
    """Tells whether an instruction multiplies matrices; on a TPU that is a convolution without a window."""
    return one.opcode == "dot" or (one.opcode == "convolution" and not one.attribute(r"window=\{([^}]+)\}"))


def _type_of(program: Program, outer: Instruction, name: str) -> str:
    called = outer.attribute(r"\bcalls=%?([\w.\-]+)")
    one = program.computations.get(called, {}).get(name)
    return one.shapes[0][0] if one and one.shapes else ""


def transposes(program: Program) -> list[dict[str, Any]]:
    """Lists the transposes of a step: what each writes, in which order of axes, and for which layer."""
    rows = []
    for times, _, outer in program.step():
        for one in program.inside(outer):
            if one.opcode == "transpose":
                kind, sizes, _ = one.shapes[0]
                axes = one.attribute(r"dimensions=\{([\d,]+)\}")
                rows.append({"result": f"{kind}{list(sizes)}", "axes": axes, "layer": one.layer, "times": times})
    return rows


def collectives(program: Program) -> dict[str, dict[str, int]]:
    """Counts the collectives of a step, and the bytes that each kind carries."""
    found: dict[str, dict[str, int]] = {}
    for times, _, outer in program.step():
        for one in program.inside(outer):
            kind = one.opcode.removesuffix("-start")
            if kind in COLLECTIVES:
                row = found.setdefault(kind, {"count": 0, "bytes": 0, "tensors": 0})
                row["count"] += times
                row["bytes"] += times * one.size
                row["tensors"] += times * len(one.shapes)
    return found


def bytes_moved(program: Program) -> int:
    """Counts the bytes that the instructions of a step read and write, were nothing cached."""
    return sum(times * program.traffic(computation, one) for times, computation, one in program.step())


def launches(text: str, turns: list[int]) -> dict[str, int]:
    """Counts what a step has a GPU do, from XLA's list of a program's thunks.

    Args:
      text: the list; what is inside of a thunk is indented.
      turns: of the inner loops of a step, in their order.

    Returns:
      `kernels`: all that the device runs; `in_command_buffers`: those that command buffers hold; `command_buffers`:
      of these; `submissions`: what the host hands over, a command buffer being one.
    """
    found = dict.fromkeys(("kernels", "in_command_buffers", "command_buffers", "submissions"), 0)
    open_thunks: list[tuple[int, str, int]] = []  # indentation, kind, how often it runs
    left = list(turns)
    for line in text.splitlines():
        row = re.match(r"^( *)\d+: (k\w+)", line)
        if not row:
            continue
        indent, kind = len(row[1]), row[2]
        while open_thunks and indent <= open_thunks[-1][0]:
            open_thunks.pop()
        depth = sum(k == "kWhile" for _, k, _ in open_thunks)
        times = math.prod(often for _, _, often in open_thunks)
        buffered = any(k == "kCommandBuffer" for _, k, _ in open_thunks)
        if depth and kind not in ("kWhile", "kSequential", "kConditional", "kCommandBuffer"):
            found["kernels"] += times
            found["in_command_buffers" if buffered else "submissions"] += times
        if depth and kind == "kCommandBuffer":
            found["command_buffers"] += times
            found["submissions"] += times
        often = (left.pop(0) if left else 1) if kind == "kWhile" and depth else 1
        open_thunks.append((indent, kind, often))
    return found


def inner_turns(program: Program) -> list[int]:
    """Counts how often the loops within a step turn, in their order."""
    loops = [i for i in program.computations[program.entry].values() if i.opcode == "while"]
    bodies = [program._called(loop, "body") for loop in loops]
    body = max(bodies, key=lambda name: len(program.computations[name]))
    found = []

    def visit(name: str) -> None:
        for one in program.computations[name].values():
            if one.opcode == "while":
                found.append(int(one.attribute(r"known_trip_count\D*(\d+)") or 1))
                visit(program._called(one, "body"))

    visit(body)
    return found
