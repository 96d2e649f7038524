// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title Nonces that are used once, in any order, 256 to a word
library NonceMap {
    struct Map {
        mapping(uint256 => uint256) words;
    }

    /// @notice Marks a nonce as used; says no if it was already.
    function use(Map storage self, uint256 nonce) internal returns (bool) {
        uint256 word = self.words[nonce >> 8];
        uint256 bit = 1 << (nonce & 0xff);
        self.words[nonce >> 8] = word | bit;
        return word & bit == 0;
    }

    function isUsed(Map storage self, uint256 nonce) internal view returns (bool) {
        return (self.words[nonce >> 8] >> (nonce & 0xff)) & 1 == 1;
    }
}
