// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title Calls to contracts that may be hostile: fixed gas, and no more of the answer than was asked for
library BoundedCall {
    /// @dev For the call itself (cold account 2,600) and what stands between the check and it.
    uint256 private constant OVERHEAD = 6_000;

    /// @notice Whether a call with `gasLimit` would get all of it, as EIP-150 keeps back a 64th.
    function canAfford(uint256 gasLimit) internal view returns (bool) {
        unchecked {
            return gasleft() >= gasLimit + gasLimit / 63 + OVERHEAD; // gas limits are far from 2^256
        }
    }

    /// @notice Calls with a fixed gas and copies nothing of what comes back.
    /// @return success it did not revert and answered at least one word, so it is no account without code
    function send(address target, uint256 gasLimit, bytes memory data) internal returns (bool success) {
        assembly ("memory-safe") {
            success := call(gasLimit, target, 0, add(data, 0x20), mload(data), 0, 0)
            success := and(success, gt(returndatasize(), 0x1f))
        }
    }

    /// @notice Calls with a fixed gas and copies one word of what comes back; zero if it reverts or answers anything but one word.
    function sendForWord(address target, uint256 gasLimit, bytes memory data) internal returns (uint256 word) {
        assembly ("memory-safe") {
            let success := call(gasLimit, target, 0, add(data, 0x20), mload(data), 0, 0x20)
            if and(success, eq(returndatasize(), 0x20)) {
                word := mload(0)
            }
        }
    }

    /// @notice Asks for at most `maxSize` bytes.
    /// @return success it did not revert and the answer fits; else `answer` is empty
    function read(address target, uint256 gasLimit, uint256 maxSize, bytes memory data)
        internal
        view
        returns (bool success, bytes memory answer)
    {
        assembly ("memory-safe") {
            success := staticcall(gasLimit, target, add(data, 0x20), mload(data), 0, 0)
            let size := returndatasize()
            success := and(success, iszero(gt(size, maxSize)))
            if iszero(success) {
                size := 0
            }
            answer := mload(0x40)
            mstore(0x40, add(answer, and(add(size, 0x3f), not(0x1f))))
            mstore(answer, size)
            returndatacopy(add(answer, 0x20), 0, size)
        }
    }

    /// @notice Asks for one word; zero if the answer is anything but one.
    function readWord(address target, uint256 gasLimit, bytes memory data)
        internal
        view
        returns (bool success, uint256 word)
    {
        assembly ("memory-safe") {
            success := staticcall(gasLimit, target, add(data, 0x20), mload(data), 0, 0x20)
            success := and(success, eq(returndatasize(), 0x20))
            if success {
                word := mload(0)
            }
        }
    }

    /// @notice Asks a function of two words for two words; both zero if the answer is anything but two.
    function readPair(address target, uint256 gasLimit, bytes4 selector, uint256 a, uint256 b)
        internal
        view
        returns (uint256 first, uint256 second)
    {
        assembly ("memory-safe") {
            let data := mload(0x40) // used up to the call and no further, so nothing is taken
            mstore(data, selector)
            mstore(add(data, 0x04), a)
            mstore(add(data, 0x24), b)
            let success := staticcall(gasLimit, target, data, 0x44, 0, 0x40)
            if and(success, eq(returndatasize(), 0x40)) {
                first := mload(0)
                second := mload(0x20)
            }
        }
    }

    /// @notice Asks for a yes: true for the word 1 only.
    function isTrue(address target, uint256 gasLimit, bytes memory data) internal view returns (bool) {
        (, uint256 word) = readWord(target, gasLimit, data);
        return word == 1;
    }
}
