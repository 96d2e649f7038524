"""What runs in the process of `signing_process.py`: read digests, write their signatures, each proved before it leaves.

It talks to nobody but its parent, and ends when the parent does, or at the first thing that is not as it should be.
"""

import signal
import sys
from typing import BinaryIO

from issuer.chain.signer import LocalSigner, proved
from issuer.chain.signing_process import COUNT_BYTES, DIGEST_BYTES


def main(asked: BinaryIO, answers: BinaryIO) -> None:
    """Until there is nothing more to read."""
    signer = LocalSigner(asked.read(DIGEST_BYTES))
    while count := int.from_bytes(asked.read(COUNT_BYTES), "big"):
        digests = (asked.read(DIGEST_BYTES) for _ in range(count))
        answers.write(b"".join(proved(signer, digest, signer.sign(digest)).compact for digest in digests))
        answers.flush()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # which a terminal or a service manager sends to all of a group:
        signal.signal(number, signal.SIG_IGN)  # the parent may still have something to sign on its way out
    main(sys.stdin.buffer, sys.stdout.buffer)
