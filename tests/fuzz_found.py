"""Programs of the fuzzer that were compiled wrongly once."""

from __future__ import annotations

from tests.fuzz import Input, Program
from tests.fuzz import Instruction as I  # noqa: E741, N817

FOUND: tuple[Program, ...] = (
    # a group that stores totals of rows beside the columns that blocks are cut along
    Program((
        Input("complex64", (3, 4), 568185),
    ), (
        I("one", (6, 10), 46), I("reduced", (11, 16), 5), I("smooth", (9, 17), 1),
        I("custom", (5, 50), 31, (
            I("product", (3, 57), 39), I("padded", (1, 57), 47), I("row_values", (1, 51), 57),
        )),
    )),
    # a loop that adds to a carry of a dtype that is computed wider than it is stored
    Program((
        Input("bool", (3, 33), 444896), Input("bfloat16", (3,), 38326),
    ), (
        I("gathered", (4, 55), 0), I("scattered", (6, 61), 15),
        I("loop", (1, 29), 57, (I("scattered", (6, 28), 55),)),
    )),
    # a sort by a key that is the same number everywhere
    Program((
        Input("complex64", (3, 33), 418225),
    ), (
        I("scan", (0, 60), 35, (I("plus", (1, 40), 25),)), I("plus", (2, 62), 19),
        I("minus", (2, 60), 11), I("select", (1, 48), 38),
        I("custom", (3, 8), 24, (I("integer_pair", (3, 42), 12), I("ordered", (0, 54), 37))),
    )),
    # an epilogue that reads through padding and a cut that undoes it
    Program((
        Input("int32", (8,), 140951), Input("bool", (17, 9), 501443),
    ), (
        I("product", (3, 4), 51), I("checkpoint", (0, 25), 49, (I("padded", (0, 11), 7),)),
    )),
    # a rule that calls `jvp` of a loop, which computes values beside tangents
    Program((
        Input("float32", (3, 4), 405023),
    ), (
        I("custom", (7, 17), 49, (I("scan", (1, 51), 31, (I("cut", (2, 34), 56),)),)),
    )),
    # a carry whose start is linear, though no iteration makes it so: second derivatives of loops
    Program((
        Input("float32", (9, 17), 353638),
    ), (
        I("grad", (4, 31), 41, (I("loop", (9, 9), 52, (I("one", (0, 61), 50),)),)),
    )),
    Program((
        Input("uint8", (8,), 88348), Input("float32", (4, 1), 775451),
    ), (
        I("custom", (4, 3), 61, (I("scan", (2, 57), 41, (I("padded", (1, 11), 61),)),)),
    )),
    # an epilogue that reads through reshapes, whose index has lanes beyond the end
    Program((
        Input("float32", (1, 5), 956812),
    ), (
        I("grad", (3, 46), 55, (I("written", (3, 22), 12), I("product", (3, 54), 28))),
    )),
    # a transposed value is needed on the way to another one, before the program asks for it
    Program((Input("uint64", (4, 1), 969206),), (
        I("derivative", (1, 33), 0, (I("checkpoint", (1, 57), 45, (I("shaped", (9, 44), 45),)),)),
    ), True, "native", 1),
    # a kernel of a loop's body that reads what an inner loop stacks row by row
    Program((
        Input("int16", (2, 65), 644016, "frozen"),
    ), (
        I("loop", (10, 61), 11, (
            I("scan", (1, 61), 11, (I("plus", (1, 0), 3), I("ordered", (4, 39), 39))),
        )),
    )),
    # small values before and after a call that must come behind another one: they are one kernel
    Program((
        Input("uint16", (1, 5), 516014), Input("float32", (3,), 203398),
    ), (
        I("loop", (0, 54), 59, (I("told", (0, 16), 23),)), I("told", (6, 62), 49),
        I("branch", (5, 20), 18, (I("told", (1, 50), 6),)),
    )),
    # a differentiated loop that calls, and has values that are the same in every iteration
    Program((
        Input("float32", (65,), 13939), Input("int8", (1,), 151781),
    ), (
        I("derivative", (0, 5), 41, (
            I("mapped", (1, 62), 42, (I("loops", (1, 43), 27), I("told", (0, 11), 24))),
        )),
    )),
    # a mapped loop, of other lengths for each example, that reads a reference and writes none
    Program((
        Input("int16", (3, 33), 38001),
    ), (
        I("overwritten", (0, 16), 11),
        I("vmap", (0, 39), 32, (I("loop", (1, 15), 20, (I("recalled", (2, 12), 28),)),)),
    )),
    # without jit, a condition that writes was asked once more where only vmap could tell
    Program((
        Input("float32", (1, 5), 566766),
    ), (
        I("vmap", (8, 17), 55, (
            I("counted", (8, 41), 21, (I("accumulated", (5, 3), 36),)), I("recalled", (12, 32), 42),
        )),
    )),
    # a rule that calls `jvp` of a checkpoint with debugging output in it
    Program((
        Input("bool", (3,), 972762),
    ), (
        I("custom", (0, 61), 17, (I("checkpoint", (2, 32), 58, (I("told", (0, 25), 22),)),)),
    )),
)  # fmt: skip

#: programs of `fuzz_plain`: the seed of the numbers, the shapes of the inputs, the instructions
#: (operation, operand, operand, choice)
FIRST: tuple[tuple[int, list[tuple[int, ...]], list[tuple[str, int, int, int]]], ...] = (
    (6, [(1,), (4, 1), (17,)], [
        ("add", 18, 60, 47), ("matmul", 2, 34, 62),
    ]),
    (10, [(), (1, 5), (4, 1)], [
        ("add", 26, 59, 62), ("transpose", 35, 20, 4), ("reverse", 62, 41, 9), ("div", 46, 5, 53),
        ("update", 17, 45, 48), ("pad", 36, 33, 58), ("cumsum", 38, 46, 17),
        ("reduce", 30, 56, 48), ("argmax", 0, 30, 17), ("custom_vjp", 38, 46, 30),
        ("matmul", 57, 55, 60),
    ]),
    (20, [(16, 33), (3,), (17,)], [
        ("softmax", 12, 41, 21), ("add", 52, 52, 9), ("concatenate", 16, 40, 60),
        ("while", 57, 52, 26), ("custom_vjp", 40, 42, 42), ("pad", 11, 62, 51),
        ("broadcast", 26, 31, 4), ("custom_vjp", 12, 10, 24), ("exp", 36, 39, 32),
        ("cumsum", 15, 2, 34), ("stride", 29, 28, 30), ("argmax", 1, 38, 35),
    ]),
    (129, [(5, 6), (17,), ()], [
        ("while", 51, 28, 42), ("update", 29, 14, 19), ("cond", 35, 29, 17),
        ("reshape", 58, 17, 13), ("exp", 9, 33, 11), ("where", 54, 5, 30), ("sin", 22, 12, 30),
        ("reshape", 6, 32, 37), ("matmul", 18, 40, 61), ("reverse", 12, 18, 24),
        ("where", 20, 57, 23), ("softmax", 43, 36, 46), ("slice", 56, 41, 45),
    ]),
    (1005, [(1, 5), (5, 6)], [
        ("vmap", 38, 45, 22), ("reshape", 15, 41, 47), ("tanh", 26, 4, 5), ("grad", 7, 43, 62),
        ("concatenate", 33, 29, 11), ("grad", 15, 60, 26), ("update", 50, 45, 6),
        ("exp", 39, 35, 53),
    ]),
    (100374, [(2, 3, 4), (7, 130)], [
        ("grad", 10, 37, 17), ("custom_vjp", 21, 51, 37), ("transpose", 56, 43, 56),
        ("tanh", 7, 27, 29), ("matmul", 19, 44, 3), ("reduce", 42, 20, 3), ("cumsum", 30, 0, 42),
        ("softmax", 24, 31, 44), ("vmap", 13, 62, 25), ("custom_vjp", 11, 18, 50),
    ]),
)  # fmt: skip
