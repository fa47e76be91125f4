"""Writes `scipy/special_coefficients.py`: the Chebyshev series of the special functions.

    python tools/chebyshev.py

A row gives the smooth part of a function and how an interval, which may be infinite, is mapped to
[-1, 1]. Coefficients are sums over Chebyshev nodes in 40-digit arithmetic; the series end where
float64 does not see them any more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mpmath import mp, mpf

mp.dps = 40
TARGET = Path(__file__).resolve().parent.parent / "src/fornax/scipy/special_coefficients.py"
NODES = 120
END = mpf(2) ** -56


def series(f: Callable, argument: Callable) -> list[float]:
    """Coefficients of f(argument(t)) for t in [-1, 1], as `chebyshev` of special_series takes."""
    angles = [mp.pi * (k + mpf(1) / 2) / NODES for k in range(NODES)]
    values = [f(argument(mp.cos(a))) for a in angles]
    found = [
        2 * mp.fsum(v * mp.cos(j * a) for v, a in zip(values, angles, strict=True)) / NODES
        for j in range(NODES)
    ]
    found[0] /= 2
    largest = max(map(abs, found))
    while abs(found[-1]) < END * largest:
        found.pop()
    return [float(c) for c in found]


def between(low: float, high: float) -> Callable:
    return lambda t: (mpf(high) - low) / 2 * t + (mpf(high) + low) / 2


def beyond(start: float, half: float) -> Callable:
    """[start, infinity): `half` behind its start is in the middle."""
    return lambda t: start + half * (1 + t) / (1 - t)


def from_inverse(f: Callable, power: int = 1) -> Callable:
    return lambda v: f(v ** (-mpf(1) / power))


def ein(x):
    return mp.nsum(lambda k: -((-x) ** k) / (k * mp.factorial(k)), [1, mp.inf])


def auxiliary_of_sine(x):
    """f and g: Si(x) = pi/2 - f cos x - g sin x, Ci(x) = f sin x - g cos x."""
    sine, cosine = mp.pi / 2 - mp.si(x), -mp.ci(x)
    return (
        sine * mp.cos(x) - cosine * mp.sin(x),
        sine * mp.sin(x) + cosine * mp.cos(x),
    )


def auxiliary_of_fresnel(x):
    """f and g: S(x) = 1/2 - f cos z - g sin z, C(x) = 1/2 + f sin z - g cos z, z = pi x²/2."""
    z = mp.pi * x * x / 2
    sine, cosine = mpf(1) / 2 - mp.fresnels(x), mpf(1) / 2 - mp.fresnelc(x)
    return (
        sine * mp.cos(z) - cosine * mp.sin(z),
        sine * mp.sin(z) + cosine * mp.cos(z),
    )


def dawson(x):
    return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)


#: name -> (what it is, function, mapping)
ROWS = {
    "EIN": ("(E1(x) + gamma + log x) / x for x in [0, 1]", lambda x: ein(x) / x, between(0, 1)),
    "EXP1": ("x e^x E1(x) for x from 1 on, half 4", lambda x: x * mp.exp(x) * mp.e1(x),
             beyond(1, 4)),
    "EXPI": ("(Ei(x) - gamma - log x) / x for x in [0, 6]",
             lambda x: (mp.ei(x) - mp.euler - mp.log(x)) / x, between(0, 6)),
    "EXPI_MIDDLE": ("x e^-x Ei(x) in 1/x for x in [6, 14]",
                    from_inverse(lambda x: x * mp.exp(-x) * mp.ei(x)),
                    between(1 / mpf(14), 1 / mpf(6))),
    "EXPI_FAR": ("x e^-x Ei(x) in 1/x for x in [14, 40]",
                 from_inverse(lambda x: x * mp.exp(-x) * mp.ei(x)),
                 between(1 / mpf(40), 1 / mpf(14))),
    "EXPI_END": ("x e^-x Ei(x) in 1/x for x from 40 on",
                 from_inverse(lambda x: x * mp.exp(-x) * mp.ei(x)), between(0, 1 / mpf(40))),
    "SI": ("Si(x) / x in x² for x in [0, 4]", lambda s: mp.si(mp.sqrt(s)) / mp.sqrt(s),
           between(0, 16)),
    "CIN": ("(gamma + log x - Ci(x)) / x² in x² for x in [0, 4]",
            lambda s: (mp.euler + mp.log(s) / 2 - mp.ci(mp.sqrt(s))) / s, between(0, 16)),
    "SINE_F": ("x f(x) of the sine integral in 1/x² for x from 4 on",
               from_inverse(lambda x: x * auxiliary_of_sine(x)[0], 2), between(0, 1 / mpf(16))),
    "SINE_G": ("x² g(x) of the sine integral in 1/x² for x from 4 on",
               from_inverse(lambda x: x * x * auxiliary_of_sine(x)[1], 2),
               between(0, 1 / mpf(16))),
    "SPENCE": ("Li2(w) / w for w in [-1/2, 1/2]", lambda w: mp.polylog(2, w) / w,
               between(-mpf(1) / 2, mpf(1) / 2)),
    "DAWSON": ("(1 + 2 x²) D(x) / x in x², half 4", lambda s: (1 + 2 * s) / mp.sqrt(s)
               * dawson(mp.sqrt(s)), beyond(0, 4)),
    "ERFCX": ("(1 + 2 x) erfcx(x), half 3", lambda x: (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x),
              beyond(0, 3)),
    "FRESNEL_S": ("S(x) / x³ in x⁴ for x in [0, 1.6]",
                  lambda q: mp.fresnels(q ** (mpf(1) / 4)) / q ** (mpf(3) / 4),
                  between(0, mpf("1.6") ** 4)),
    "FRESNEL_C": ("C(x) / x in x⁴ for x in [0, 1.6]",
                  lambda q: mp.fresnelc(q ** (mpf(1) / 4)) / q ** (mpf(1) / 4),
                  between(0, mpf("1.6") ** 4)),
    "FRESNEL_F": ("pi x f(x) of the Fresnel integrals in 1/x⁴ for x from 1.6 on",
                  from_inverse(lambda x: mp.pi * x * auxiliary_of_fresnel(x)[0], 4),
                  between(0, mpf("1.6") ** -4)),
    "FRESNEL_G": ("pi² x³ g(x) of the Fresnel integrals in 1/x⁴ for x from 1.6 on",
                  from_inverse(lambda x: mp.pi**2 * x**3 * auxiliary_of_fresnel(x)[1], 4),
                  between(0, mpf("1.6") ** -4)),
}  # fmt: skip


def main() -> None:
    lines = [
        '"""Chebyshev series of special functions, written by tools/chebyshev.py; not by hand."""'
    ]
    for name, (text, f, argument) in ROWS.items():
        found = series(f, argument)
        print(name, len(found), f"{abs(found[-1]):.1e}", flush=True)
        rows, row = [], "   "
        for value in found:
            piece = f" {value!r},"
            if len(row + piece) > 100:
                rows.append(row)
                row = "   "
            row += piece
        lines += ["", f"#: {text}", f"{name} = (", *rows, row, ")  # fmt: skip"]
    TARGET.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
