"""What the compiler's passes may know about a machine."""

from __future__ import annotations

from fornax.compiler.loop.ir import WIDTH
from fornax.record import record, replace

#: bits of the narrowest vector registers
NARROWEST = 128


@record(frozen=True)
class Target:
    """One kind of processor. Equal targets give equal machine code for equal kernels.

    `name` is the instruction set ("avx512", "avx2", "sse2", "neon"), `cpu` and `features` what
    LLVM is told. `masked_bits` are the element widths that have masked loads and stores.
    """

    name: str
    cpu: str
    features: str
    vector_bits: int
    registers: int
    fma: bool = True
    half: bool = True  #: converts between float16 and float32
    rounding: bool = True  #: has floor, ceil, trunc and round-to-even
    masked_bits: tuple[int, ...] = ()
    streams: bool = True  #: can write past the caches
    estimates: bool = False  #: has quick inverse roots of 14 digits, of vectors of float32
    #: loads and stores at an address per lane are quick in one instruction; elsewhere only loads
    #: are that have to compute their addresses, if there is an instruction
    gathers: bool = False
    compacts: bool = False  #: pushes chosen lanes of a register together
    scales: bool = False  #: multiplies by powers of two, and limits, in one instruction each
    tables: bool = False  #: looks up 32 numbers in registers, of 512 bits
    #: dtypes whose products it adds up two at a time, quicker than one after the other
    pairs: tuple[str, ...] = ()
    triple: str = ""  #: empty: that of this process
    l1: int = 32 << 10
    l2: int = 512 << 10
    l3: int = 16 << 20

    @property
    def streamed(self) -> int:
        """Bytes from which on a result is written past the caches: it would push out everything
        else and be gone itself when somebody reads it. Measured: between 2 and 8 times l2 it does
        not matter, above that it takes half of the time."""
        return max(8 * self.l2, 12 << 20)

    @property
    def merges(self) -> bool:
        """Whether an operation leaves lanes as they were at no cost: with registers of masks."""
        return 8 in self.masked_bits

    @property
    def adds_pairs(self) -> bool:
        """Whether two products of int16 are added to a total in one instruction."""
        return "+avx512vnni" in self.features

    def holding(self, count: int, bits: int) -> int:
        """Elements of so many bits in the narrowest register that holds `count` of them, or in a
        whole one: divisions and roots take as long as their vectors are wide."""
        lanes = self.vector_bits // bits
        while lanes >= 2 * count and lanes * bits > NARROWEST:
            lanes //= 2
        return lanes

    def gradual(self) -> Target:
        """The target for programs that keep denormal numbers: pairs of bfloat16 do not."""
        return replace(self, pairs=tuple(dtype for dtype in self.pairs if dtype != "bfloat16"))

    def lanes(self, dtype: str) -> int:
        """Elements of `dtype` in one vector register."""
        return self.vector_bits // WIDTH[dtype]
