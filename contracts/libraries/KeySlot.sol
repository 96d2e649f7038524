// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title All of an ERC-734 key in one word
/// @notice Big-endian: place in the list of keys 8 bytes | key type 8 | purposes 16, one bit for each from 1 to 127. Bit 0 is the tombstone of the
/// manager that stands in a clone's code.
type KeySlot is uint256;

using KeySlots for KeySlot global;

library KeySlots {
    uint256 private constant PURPOSES = type(uint128).max - 1;
    uint256 private constant TOMBSTONE = 1;

    function make(uint64 place_, uint64 keyType_, uint256 bits_) internal pure returns (KeySlot) {
        return KeySlot.wrap((uint256(place_) << 192) | (uint256(keyType_) << 128) | bits_);
    }

    /// @dev The bit of a purpose between 1 and 127; zero for any other.
    function bit(uint256 purpose) internal pure returns (uint256) {
        return purpose == 0 || purpose > 127 ? 0 : 1 << purpose;
    }

    function place(KeySlot self) internal pure returns (uint64) {
        return uint64(KeySlot.unwrap(self) >> 192);
    }

    function keyType(KeySlot self) internal pure returns (uint64) {
        return uint64(KeySlot.unwrap(self) >> 128);
    }

    /// @dev Without the tombstone.
    function purposes(KeySlot self) internal pure returns (uint256) {
        return KeySlot.unwrap(self) & PURPOSES;
    }

    function tombstone(KeySlot self) internal pure returns (uint256) {
        return KeySlot.unwrap(self) & TOMBSTONE;
    }

    function isTombstone(KeySlot self) internal pure returns (bool) {
        return tombstone(self) != 0;
    }

    function buried(KeySlot self) internal pure returns (KeySlot) {
        return KeySlot.wrap(KeySlot.unwrap(self) | TOMBSTONE);
    }

    function with(KeySlot self, uint256 bits_) internal pure returns (KeySlot) {
        return KeySlot.wrap(KeySlot.unwrap(self) | bits_);
    }

    function without(KeySlot self, uint256 bits_) internal pure returns (KeySlot) {
        return KeySlot.wrap(KeySlot.unwrap(self) & ~bits_);
    }

    /// @dev The same key at another place in the list.
    function moved(KeySlot self, uint64 place_) internal pure returns (KeySlot) {
        return KeySlot.wrap((KeySlot.unwrap(self) & (type(uint256).max >> 64)) | (uint256(place_) << 192));
    }
}
