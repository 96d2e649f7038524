// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ClaimWord} from "./ClaimWord.sol";

/// @title What a claim signer may sign. All zero: anything
/// @notice Big-endian: flags 1 byte | claims issued from 4 | until 4 (0: no end) | longest life in days 2 (0: any).
type SignerTerms is uint88;

using SignerTermsLib for SignerTerms global;

library SignerTermsLib {
    uint88 private constant SUSPENDED = 1 << 80;
    /// @dev The issuer has revoked by signature, so that each signature must be looked up. Beside the terms, which are read anyway: most issuers never do.
    SignerTerms internal constant LOOK_UP = SignerTerms.wrap(1 << 81);
    uint88 private constant FLAGS = uint88(0xff) << 80;

    function pack(uint32 from_, uint32 until_, uint16 maxLifeDays_) internal pure returns (SignerTerms) {
        return SignerTerms.wrap((uint88(from_) << 48) | (uint88(until_) << 16) | maxLifeDays_);
    }

    function areNone(SignerTerms self) internal pure returns (bool) {
        return SignerTerms.unwrap(self) & ~SignerTerms.unwrap(LOOK_UP) == 0;
    }

    function isSuspended(SignerTerms self) internal pure returns (bool) {
        return SignerTerms.unwrap(self) & SUSPENDED != 0;
    }

    function issuedFrom(SignerTerms self) internal pure returns (uint32) {
        return uint32(SignerTerms.unwrap(self) >> 48);
    }

    function issuedUntil(SignerTerms self) internal pure returns (uint32) {
        return uint32(SignerTerms.unwrap(self) >> 16);
    }

    function maxLifeDays(SignerTerms self) internal pure returns (uint16) {
        return uint16(SignerTerms.unwrap(self));
    }

    function mustLookUp(SignerTerms self) internal pure returns (bool) {
        return SignerTerms.unwrap(self) & SignerTerms.unwrap(LOOK_UP) != 0;
    }

    /// @dev These terms with the flags of others.
    function flaggedAs(SignerTerms self, SignerTerms other) internal pure returns (SignerTerms) {
        return SignerTerms.wrap((SignerTerms.unwrap(self) & ~FLAGS) | (SignerTerms.unwrap(other) & FLAGS));
    }

    function with(SignerTerms self, SignerTerms flags) internal pure returns (SignerTerms) {
        return SignerTerms.wrap(SignerTerms.unwrap(self) | SignerTerms.unwrap(flags));
    }

    function suspended(SignerTerms self) internal pure returns (SignerTerms) {
        return SignerTerms.wrap(SignerTerms.unwrap(self) | SUSPENDED);
    }

    function restored(SignerTerms self) internal pure returns (SignerTerms) {
        return SignerTerms.wrap(SignerTerms.unwrap(self) & ~SUSPENDED);
    }

    /// @notice Whether a claim with that word may stand at `time`. A word dated ahead lives no longer for it, so that a key once stolen does harm for
    /// `until` plus the longest life at most.
    function admits(SignerTerms self, bytes32 word, uint256 time) internal pure returns (bool) {
        if (areNone(self)) return true;
        if (isSuspended(self)) return false;
        uint256 issuedAt = ClaimWord.issuedAt(word);
        if (issuedAt < issuedFrom(self) || (issuedUntil(self) != 0 && issuedAt > issuedUntil(self))) return false;
        uint256 life = uint256(maxLifeDays(self)) * 1 days;
        uint256 end = ClaimWord.expiresAt(word);
        return life == 0 || (end != 0 && end <= (issuedAt < time ? issuedAt : time) + life);
    }
}
