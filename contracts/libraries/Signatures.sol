// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @title Signatures in the two lengths that we take, each in its one canonical encoding
library Signatures {
    uint256 internal constant COMPACT = 64;
    uint256 internal constant FULL = 65;
    uint256 private constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    bytes32 private constant S_MASK = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff;

    /// @notice What ONCHAINID signs: the eth_sign form over the three fields.
    function legacyDigest(address identity, uint256 topic, bytes calldata data) internal pure returns (bytes32) {
        return MessageHashUtils.toEthSignedMessageHash(keccak256(abi.encode(identity, topic, data)));
    }

    /// @notice The signer, or zero: 65 bytes r|s|v, v 27 or 28, low s.
    function recoverFull(bytes32 digest, bytes calldata signature) internal pure returns (address signer) {
        (signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
    }

    /// @notice The signer, or zero: 64 bytes r|vs (EIP-2098), low s.
    function recoverCompact(bytes32 digest, bytes calldata signature) internal pure returns (address signer) {
        if (signature.length != COMPACT) return address(0);
        (bytes32 r, bytes32 vs) = abi.decode(signature, (bytes32, bytes32));
        uint256 s = uint256(vs & S_MASK);
        if (s > ORDER / 2) return address(0);
        return ecrecover(digest, uint8(27 + (uint256(vs) >> 255)), r, bytes32(s));
    }

    /// @notice The signer of either length, or zero.
    function recover(bytes32 digest, bytes calldata signature) internal pure returns (address) {
        return signature.length == COMPACT ? recoverCompact(digest, signature) : recoverFull(digest, signature);
    }

    /// @notice Whether it is 65 bytes with v 27 or 28 and a low s, and so loses nothing as 64.
    function canShorten(bytes calldata signature) internal pure returns (bool) {
        if (signature.length != FULL || bytes32(signature[32:]) & ~S_MASK != 0) return false;
        uint8 v = uint8(signature[64]);
        return v == 27 || v == 28;
    }

    /// @notice vs of one that can be shortened: r|s|v becomes r|vs.
    function shortened(bytes calldata signature) internal pure returns (bytes32) {
        uint256 odd = uint8(signature[64]) - 27;
        return bytes32(signature[32:]) | bytes32(odd << 255);
    }

    /// @notice r|vs as r|s|v.
    function lengthen(bytes memory signature) internal pure returns (bytes memory) {
        bytes32 vs = _word(signature, 32);
        return abi.encodePacked(_word(signature, 0), vs & S_MASK, uint8(27 + (uint256(vs) >> 255)));
    }

    /// @notice One number for all encodings of one signature: either length, either s, v as 0/1 or 27/28. That of 64 canonical bytes is their hash.
    function fingerprint(bytes memory signature) internal pure returns (bytes32) {
        if (signature.length != COMPACT && signature.length != FULL) return keccak256(signature);
        bytes32 r = _word(signature, 0);
        uint256 s = uint256(_word(signature, 32));
        uint256 odd = 0;
        if (signature.length == COMPACT) {
            odd = s >> 255;
            s &= uint256(S_MASK);
        } else {
            odd = uint8(signature[64]);
            if (odd >= 27) odd -= 27;
        }
        if (s >= ORDER || odd > 1) return keccak256(signature); // nobody's signature
        if (s > ORDER / 2) {
            s = ORDER - s;
            odd = 1 - odd;
        }
        return keccak256(abi.encode(r, (odd << 255) | s));
    }

    function _word(bytes memory signature, uint256 offset) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(signature, 0x20), offset))
        }
    }
}
