// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title What an identity keeps of a claim in one word; the rest follows in further words, or as code
/// @notice Big-endian: flags 1 byte | lengths of uri, data, signature 2 each | scheme 1 | topic 4 | account 20. The account is the issuer, or, with
/// the flag CODE, the address whose code has the issuer and the rest. A topic or scheme too large for its field stands in the rest.
library ClaimHeader {
    uint8 internal constant WIDE_TOPIC = 1;
    uint8 internal constant WIDE_SCHEME = 2;
    /// @dev The rest is the code of `account`.
    uint8 internal constant CODE = 4;
    /// @dev The signature had 65 bytes and stands as its 64 bytes r|vs.
    uint8 internal constant SHORTENED = 8;
    /// @dev No claim: the holder removed it, and the adder may not write it again.
    uint8 internal constant REMOVED = 16;

    bytes32 internal constant TOMBSTONE = bytes32(uint256(REMOVED) << 248);

    struct Header {
        uint8 flags;
        uint16 uriLength;
        uint16 dataLength;
        uint16 signatureLength; // as it stands: 64 for one that was shortened
        uint8 scheme;
        uint32 topic;
        address account;
    }

    function pack(Header memory header) internal pure returns (bytes32) {
        uint256 bits = (uint256(header.flags) << 248) | (uint256(header.uriLength) << 232);
        bits |= (uint256(header.dataLength) << 216) | (uint256(header.signatureLength) << 200);
        bits |= (uint256(header.scheme) << 192) | (uint256(header.topic) << 160);
        return bytes32(bits | uint160(header.account));
    }

    function unpack(bytes32 word) internal pure returns (Header memory header) {
        uint256 bits = uint256(word);
        header.flags = uint8(bits >> 248);
        header.uriLength = uint16(bits >> 232);
        header.dataLength = uint16(bits >> 216);
        header.signatureLength = uint16(bits >> 200);
        header.scheme = uint8(bits >> 192);
        header.topic = uint32(bits >> 160);
        header.account = address(uint160(bits));
    }

    /// @notice Whether there is a claim at all.
    function isClaim(bytes32 word) internal pure returns (bool) {
        return uint160(uint256(word)) != 0;
    }

    function has(Header memory header, uint8 flag) internal pure returns (bool) {
        return header.flags & flag != 0;
    }

    /// @notice How many words the rest takes in storage; none if it stands as code.
    function words(Header memory header) internal pure returns (uint256) {
        if (has(header, CODE)) return 0;
        uint256 length = uint256(header.signatureLength) + header.dataLength + header.uriLength;
        if (has(header, WIDE_TOPIC)) length += 32;
        if (has(header, WIDE_SCHEME)) length += 32;
        return (length + 31) / 32;
    }
}
