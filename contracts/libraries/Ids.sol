// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title The ids of both standards, hashed without taking memory: every call needs some
library Ids {
    /// @notice ERC-734 key of an address: keccak256(abi.encode(account)).
    function keyOf(address account) internal pure returns (bytes32 key) {
        uint256 word = uint160(account);
        assembly ("memory-safe") {
            mstore(0, word)
            key := keccak256(0, 0x20)
        }
    }

    /// @notice ERC-735 claim id: keccak256(abi.encode(issuer, topic)).
    function claimOf(address issuer, uint256 topic) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(bytes32(uint256(uint160(issuer))), bytes32(topic));
    }
}
