// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title The claim word: 32 bytes that say all about a claim that the chain needs to know
/// @notice Big-endian: layout 1 byte (= 1) | epoch 2 | issuedAt 4 | expiresAt 4 | commitment 21. Times are Unix seconds; expiresAt 0 is no expiry.
library ClaimWord {
    uint8 internal constant LAYOUT = 1;
    /// @dev Nothing is valid in the last epoch, so that a revocation is always possible.
    uint16 internal constant LAST_EPOCH = type(uint16).max;

    function pack(uint16 epoch_, uint32 issuedAt_, uint32 expiresAt_, bytes21 commitment_)
        internal
        pure
        returns (bytes32)
    {
        return bytes32(abi.encodePacked(LAYOUT, epoch_, issuedAt_, expiresAt_, commitment_));
    }

    /// @notice No claim, only the epoch.
    function ofEpoch(uint16 epoch_) internal pure returns (bytes32) {
        return bytes32(uint256(epoch_) << 232);
    }

    function unpack(bytes32 word)
        internal
        pure
        returns (uint8 layout_, uint16 epoch_, uint32 issuedAt_, uint32 expiresAt_, bytes21 commitment_)
    {
        return (layoutOf(word), epoch(word), issuedAt(word), expiresAt(word), commitment(word));
    }

    function layoutOf(bytes32 word) internal pure returns (uint8) {
        return uint8(uint256(word) >> 248);
    }

    function epoch(bytes32 word) internal pure returns (uint16) {
        return uint16(uint256(word) >> 232);
    }

    function issuedAt(bytes32 word) internal pure returns (uint32) {
        return uint32(uint256(word) >> 200);
    }

    function expiresAt(bytes32 word) internal pure returns (uint32) {
        return uint32(uint256(word) >> 168);
    }

    function commitment(bytes32 word) internal pure returns (bytes21) {
        return bytes21(word << 88);
    }

    /// @notice Whether the word counts in `epoch_` at `time`: known layout, the epoch it names, not expired.
    function isCurrent(bytes32 word, uint16 epoch_, uint256 time) internal pure returns (bool) {
        uint32 end = expiresAt(word);
        return layoutOf(word) == LAYOUT && epoch(word) == epoch_ && epoch_ != LAST_EPOCH && (end == 0 || time < end);
    }
}
