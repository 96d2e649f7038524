// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title What an identity keeps of a claim in one word; the rest follows in further words, or as code
/// @notice Big-endian: flags 1 byte | lengths of uri, data, signature 2 each | scheme 1 | topic 4 | account 20. The account is the issuer, or, with
/// the flag CODE, the address whose code has the issuer and the rest. A topic or scheme too large for its field stands in the rest.
type ClaimHeader is uint256;

using ClaimHeaders for ClaimHeader global;

library ClaimHeaders {
    uint256 internal constant WIDE_TOPIC = 1;
    uint256 internal constant WIDE_SCHEME = 2;
    /// @dev The rest is the code of `account`.
    uint256 internal constant CODE = 4;
    /// @dev The signature had 65 bytes and stands as its 64 bytes r|vs.
    uint256 internal constant SHORTENED = 8;
    /// @dev No claim: the holder removed it, and the adder may not write it again.
    uint256 internal constant REMOVED = 16;

    /// @dev There never was a claim, or its issuer took it back.
    ClaimHeader internal constant NONE = ClaimHeader.wrap(0);
    ClaimHeader internal constant TOMBSTONE = ClaimHeader.wrap(REMOVED << 248);

    /// @param signatureLength_ as it stands: 64 for one that was shortened
    function make(
        uint256 flags,
        uint16 uriLength_,
        uint16 dataLength_,
        uint16 signatureLength_,
        uint8 scheme_,
        uint32 topic_,
        address account_
    ) internal pure returns (ClaimHeader) {
        uint256 bits = (flags << 248) | (uint256(uriLength_) << 232) | (uint256(dataLength_) << 216);
        bits |= (uint256(signatureLength_) << 200) | (uint256(scheme_) << 192) | (uint256(topic_) << 160);
        return ClaimHeader.wrap(bits | uint160(account_));
    }

    /// @dev The same claim, whose rest stands as the code of `account_`.
    function inCode(ClaimHeader self, address account_) internal pure returns (ClaimHeader) {
        uint256 bits = (ClaimHeader.unwrap(self) >> 160) << 160;
        return ClaimHeader.wrap(bits | (CODE << 248) | uint160(account_));
    }

    /// @notice Whether nothing stands there, not even a tombstone.
    function isNone(ClaimHeader self) internal pure returns (bool) {
        return ClaimHeader.unwrap(self) == 0;
    }

    /// @notice Whether the holder has removed the claim for good.
    function isTombstone(ClaimHeader self) internal pure returns (bool) {
        return ClaimHeader.unwrap(self) == ClaimHeader.unwrap(TOMBSTONE);
    }

    /// @notice Whether there is a claim at all.
    function isClaim(ClaimHeader self) internal pure returns (bool) {
        return account(self) != address(0);
    }

    function has(ClaimHeader self, uint256 flag) internal pure returns (bool) {
        return (ClaimHeader.unwrap(self) >> 248) & flag != 0;
    }

    function uriLength(ClaimHeader self) internal pure returns (uint256) {
        return uint16(ClaimHeader.unwrap(self) >> 232);
    }

    function dataLength(ClaimHeader self) internal pure returns (uint256) {
        return uint16(ClaimHeader.unwrap(self) >> 216);
    }

    function signatureLength(ClaimHeader self) internal pure returns (uint256) {
        return uint16(ClaimHeader.unwrap(self) >> 200);
    }

    function scheme(ClaimHeader self) internal pure returns (uint8) {
        return uint8(ClaimHeader.unwrap(self) >> 192);
    }

    function topic(ClaimHeader self) internal pure returns (uint32) {
        return uint32(ClaimHeader.unwrap(self) >> 160);
    }

    function account(ClaimHeader self) internal pure returns (address) {
        return address(uint160(ClaimHeader.unwrap(self)));
    }

    /// @notice How many words the rest takes in storage; none if it stands as code, or if there is no claim.
    function words(ClaimHeader self) internal pure returns (uint256) {
        unchecked {
            if (ClaimHeader.unwrap(self) == 0 || has(self, CODE)) return 0;
            uint256 length = signatureLength(self) + dataLength(self) + uriLength(self); // each below 2^16
            if (has(self, WIDE_TOPIC)) length += 32;
            if (has(self, WIDE_SCHEME)) length += 32;
            return (length + 31) >> 5;
        }
    }
}
