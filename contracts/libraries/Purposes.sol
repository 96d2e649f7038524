// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title What a key is for, and what kind of key it is
library Purposes {
    uint256 internal constant MANAGEMENT = 1;
    uint256 internal constant ACTION = 2;
    uint256 internal constant CLAIM = 3;
    /// @dev Purposes are bits of one uint128; bit 0 is not used.
    uint256 internal constant LAST = 127;
}

library KeyTypes {
    uint256 internal constant ECDSA = 1;
    /// @dev Signs claim words (EIP-712) only: such a key cannot be used for the older form, which anybody could replay.
    uint256 internal constant CLAIMWRIGHT = 712;
    /// @dev Signs claim words too, and is a contract that answers ERC-1271.
    uint256 internal constant CONTRACT = 1271;
}
