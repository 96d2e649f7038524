// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title Bytes that stand one field after the other, in memory and in words of storage
/// @notice Nothing here checks a bound: the lengths come from the header that was written with the stream.
library Stream {
    /// @notice The fields one after the other, and zeros up to a whole word.
    function join(bytes calldata a, bytes calldata b, bytes calldata c) internal pure returns (bytes memory stream) {
        assembly ("memory-safe") {
            stream := mload(0x40)
            let at := add(stream, 0x20)
            calldatacopy(at, a.offset, a.length)
            at := add(at, a.length)
            calldatacopy(at, b.offset, b.length)
            at := add(at, b.length)
            calldatacopy(at, c.offset, c.length)
            at := add(at, c.length)
            mstore(at, 0)
            mstore(stream, sub(sub(at, stream), 0x20))
            mstore(0x40, and(add(at, 0x1f), not(0x1f)))
        }
    }

    /// @notice A word, then the stream, and zeros up to a whole word.
    function prefixed(bytes memory stream, uint256 word) internal pure returns (bytes memory longer) {
        assembly ("memory-safe") {
            longer := mload(0x40)
            let padded := and(add(mload(stream), 0x1f), not(0x1f))
            mstore(longer, add(mload(stream), 0x20))
            mstore(add(longer, 0x20), word)
            mcopy(add(longer, 0x40), add(stream, 0x20), padded)
            mstore(0x40, add(add(longer, 0x40), padded))
        }
    }

    /// @notice Replaces the word that begins at `from`.
    function put(bytes memory stream, uint256 from, bytes32 word) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(stream, 0x20), from), word)
        }
    }

    /// @notice A field of the stream.
    function take(bytes memory stream, uint256 from, uint256 length) internal pure returns (bytes memory field) {
        assembly ("memory-safe") {
            field := mload(0x40)
            mstore(field, length)
            mcopy(add(field, 0x20), add(add(stream, 0x20), from), length)
            mstore(0x40, and(add(add(field, length), 0x3f), not(0x1f)))
        }
    }

    function wordAt(bytes memory stream, uint256 from) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(stream, 0x20), from))
        }
    }

    /// @notice Writes a stream that ends in zeros, as `join` and `prefixed` make it.
    function store(bytes32[194] storage words, bytes memory stream) internal {
        assembly ("memory-safe") {
            let slot := words.slot
            let at := add(stream, 0x20)
            for { let end := add(at, mload(stream)) } lt(at, end) { at := add(at, 0x20) } {
                sstore(slot, mload(at))
                slot := add(slot, 1)
            }
        }
    }

    /// @notice The first `count` words.
    function load(bytes32[194] storage words, uint256 count) internal view returns (bytes memory stream) {
        assembly ("memory-safe") {
            stream := mload(0x40)
            let slot := words.slot
            let at := add(stream, 0x20)
            let end := add(at, mul(count, 0x20))
            mstore(stream, sub(end, at))
            mstore(0x40, end)
            for {} lt(at, end) { at := add(at, 0x20) } {
                mstore(at, sload(slot))
                slot := add(slot, 1)
            }
        }
    }
}
