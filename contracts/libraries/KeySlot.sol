// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {SignerTerms} from "./SignerTerms.sol";

/// @title All of an ERC-734 key in one word
/// @notice Big-endian: terms of a claim signer 11 bytes | place in the list of keys 3 | key type 2 | purposes 16, one bit for each from 1 to 127. Bit 0 is
/// the tombstone of the manager that stands in a clone's code.
type KeySlot is uint256;

using KeySlots for KeySlot global;

library KeySlots {
    uint256 private constant PURPOSES = type(uint128).max - 1;
    uint256 private constant TOMBSTONE = 1;

    /// @dev Without terms.
    function make(uint24 place_, uint16 keyType_, uint256 bits) internal pure returns (KeySlot) {
        return KeySlot.wrap((uint256(place_) << 144) | (uint256(keyType_) << 128) | bits);
    }

    /// @dev The bit of a purpose between 1 and 127; zero for any other.
    function bit(uint256 purpose) internal pure returns (uint256) {
        return purpose == 0 || purpose > 127 ? 0 : 1 << purpose;
    }

    function terms(KeySlot self) internal pure returns (SignerTerms) {
        return SignerTerms.wrap(uint88(KeySlot.unwrap(self) >> 168));
    }

    function place(KeySlot self) internal pure returns (uint24) {
        return uint24(KeySlot.unwrap(self) >> 144);
    }

    function keyType(KeySlot self) internal pure returns (uint16) {
        return uint16(KeySlot.unwrap(self) >> 128);
    }

    /// @dev Without the tombstone.
    function purposes(KeySlot self) internal pure returns (uint256) {
        return KeySlot.unwrap(self) & PURPOSES;
    }

    function tombstone(KeySlot self) internal pure returns (uint256) {
        return KeySlot.unwrap(self) & TOMBSTONE;
    }

    function buried(KeySlot self) internal pure returns (KeySlot) {
        return with(self, TOMBSTONE);
    }

    function with(KeySlot self, uint256 bits) internal pure returns (KeySlot) {
        return KeySlot.wrap(KeySlot.unwrap(self) | bits);
    }

    function without(KeySlot self, uint256 bits) internal pure returns (KeySlot) {
        return KeySlot.wrap(KeySlot.unwrap(self) & ~bits);
    }

    /// @dev The same key at another place in the list.
    function moved(KeySlot self, uint24 place_) internal pure returns (KeySlot) {
        return KeySlot.wrap((KeySlot.unwrap(self) & ~(uint256(type(uint24).max) << 144)) | (uint256(place_) << 144));
    }

    /// @dev The same key under other terms.
    function under(KeySlot self, SignerTerms terms_) internal pure returns (KeySlot) {
        uint256 rest = KeySlot.unwrap(self) & (type(uint256).max >> 88);
        return KeySlot.wrap((uint256(SignerTerms.unwrap(terms_)) << 168) | rest);
    }
}
