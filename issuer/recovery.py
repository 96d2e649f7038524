"""Who signed: the public key behind a secp256k1 signature, and its address. Nothing here can sign.

Plain integers, so that the process that faces the internet can check a wallet's signature without loading a library
that could make one. A few milliseconds a signature; every input is public, so its time may depend on it.

Source: SEC 1 version 2, section 4.1.6 (recovery); SEC 2 (the curve); the Ethereum yellow paper, appendix F (addresses).
"""

from issuer import addresses

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)

Point = tuple[int, int, int]  # Jacobian: x = X / Z², y = Y / Z³; Z = 0 is the point at infinity
_INFINITY: Point = (0, 1, 0)


def address_of(digest: bytes, *, r: int, s: int, y_parity: int) -> str | None:
    """The address (EIP-55) whose key signed the 32 bytes of `digest`. None: it is no signature at all."""
    if not (0 < r < N and 0 < s < N and y_parity in (0, 1)):
        return None
    square = (pow(r, 3, P) + 7) % P
    y = pow(square, (P + 1) // 4, P)
    if y * y % P != square:
        return None  # no point of the curve has this x
    if y % 2 != y_parity:
        y = P - y
    inverse = pow(r, -1, N)
    u1, u2 = -int.from_bytes(digest, "big") * inverse % N, s * inverse % N
    x, y, z = _add(_times((*G, 1), u1), _times((r, y, 1), u2))
    if z == 0:
        return None
    inverse = pow(z, -1, P)
    affine = (x * inverse**2 % P).to_bytes(32, "big") + (y * inverse**3 % P).to_bytes(32, "big")
    return addresses.of_public_key(affine)


def _times(point: Point, factor: int) -> Point:
    result = _INFINITY
    for bit in bin(factor)[2:]:
        result = _double(result)
        if bit == "1":
            result = _add(result, point)
    return result


def _double(point: Point) -> Point:
    x, y, z = point
    if z == 0:
        return point
    square = y * y % P
    slope, middle = 3 * x * x % P, 4 * x * square % P
    new_x = (slope * slope - 2 * middle) % P
    return new_x, (slope * (middle - new_x) - 8 * square * square) % P, 2 * y * z % P


def _add(one: Point, other: Point) -> Point:
    if one[2] == 0:
        return other
    if other[2] == 0:
        return one
    (x1, y1, z1), (x2, y2, z2) = one, other
    u1, u2 = x1 * z2 * z2 % P, x2 * z1 * z1 % P
    s1, s2 = y1 * z2**3 % P, y2 * z1**3 % P
    if u1 == u2:
        return _double(one) if s1 == s2 else _INFINITY
    width, height = (u2 - u1) % P, (s2 - s1) % P
    square = width * width % P
    cube, middle = square * width % P, u1 * square % P
    x = (height * height - cube - 2 * middle) % P
    return x, (height * (middle - x) - s1 * cube) % P, width * z1 * z2 % P
