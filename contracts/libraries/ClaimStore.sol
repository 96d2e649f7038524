// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";
import {IERC735} from "../interfaces/IERC735.sol";
import {ClaimHeader} from "./ClaimHeader.sol";
import {CodeStore} from "./CodeStore.sol";
import {Signatures} from "./Signatures.sol";

/// @title The claims of an identity in as few words as they need
/// @notice A header, then one stream: topic and scheme if they are wide, signature, data, uri. A short stream stands in words, which are cheap to
/// change; a long one stands as code, which is cheap to write. Nothing else is kept, so what is read is what was written.
library ClaimStore {
    using ClaimHeader for ClaimHeader.Header;

    /// @dev Room for a wide topic and scheme and three fields of 2,048 bytes: the array has no length of its own.
    struct Store {
        mapping(bytes32 claimId => bytes32) headers;
        mapping(bytes32 claimId => bytes32[194]) words;
    }

    /// @notice Writes or replaces a claim; fields of at most 2,048 bytes.
    /// @param old the header that is there now
    /// @param threshold how many bytes the stream may have to stand in words
    function write(Store storage self, bytes32 claimId, bytes32 old, IERC735.Claim memory claim, uint256 threshold) internal {
        ClaimHeader.Header memory header;
        bytes memory stream;
        (header, stream) = _encode(claim);
        if (stream.length > threshold) {
            header.flags |= ClaimHeader.CODE;
            header.account = CodeStore.write(abi.encodePacked(claim.issuer, stream));
        }
        uint256 used = header.words();
        _putWords(self.words[claimId], stream, used);
        _clearWords(self.words[claimId], used, _wordsOf(old));
        bytes32 packed = header.pack();
        if (packed != old) self.headers[claimId] = packed;
    }

    /// @notice Forgets the claim and leaves `rest` for its header: zero, or a tombstone.
    function clear(Store storage self, bytes32 claimId, bytes32 old, bytes32 rest) internal {
        self.headers[claimId] = rest;
        _clearWords(self.words[claimId], 0, _wordsOf(old));
    }

    /// @notice The claim, all zero if there is none.
    function read(Store storage self, bytes32 claimId) internal view returns (IERC735.Claim memory claim) {
        bytes32 packed = self.headers[claimId];
        if (!ClaimHeader.isClaim(packed)) return claim;
        ClaimHeader.Header memory header = ClaimHeader.unpack(packed);
        if (!header.has(ClaimHeader.CODE)) {
            return _decode(header, header.account, _getWords(self.words[claimId], header.words()), 0);
        }
        bytes memory code = CodeStore.read(header.account);
        return _decode(header, address(bytes20(Bytes.slice(code, 0, 20))), code, 20);
    }

    function _encode(IERC735.Claim memory claim)
        private
        pure
        returns (ClaimHeader.Header memory header, bytes memory stream)
    {
        bytes memory wide;
        bytes memory signature = claim.signature;
        if (claim.topic > type(uint32).max) {
            header.flags |= ClaimHeader.WIDE_TOPIC;
            wide = abi.encode(claim.topic);
        } else {
            header.topic = uint32(claim.topic);
        }
        if (claim.scheme > type(uint8).max) {
            header.flags |= ClaimHeader.WIDE_SCHEME;
            wide = abi.encodePacked(wide, claim.scheme);
        } else {
            header.scheme = uint8(claim.scheme);
        }
        if (Signatures.canShorten(signature)) {
            header.flags |= ClaimHeader.SHORTENED;
            signature = Signatures.shorten(signature);
        }
        header.account = claim.issuer;
        header.signatureLength = uint16(signature.length);
        header.dataLength = uint16(claim.data.length);
        header.uriLength = uint16(bytes(claim.uri).length);
        stream = abi.encodePacked(wide, signature, claim.data, claim.uri);
    }

    function _decode(ClaimHeader.Header memory header, address issuer, bytes memory stream, uint256 from)
        private
        pure
        returns (IERC735.Claim memory claim)
    {
        claim.issuer = issuer;
        claim.topic = header.topic;
        claim.scheme = header.scheme;
        if (header.has(ClaimHeader.WIDE_TOPIC)) {
            claim.topic = uint256(bytes32(Bytes.slice(stream, from, from + 32)));
            from += 32;
        }
        if (header.has(ClaimHeader.WIDE_SCHEME)) {
            claim.scheme = uint256(bytes32(Bytes.slice(stream, from, from + 32)));
            from += 32;
        }
        claim.signature = Bytes.slice(stream, from, from + header.signatureLength);
        from += header.signatureLength;
        if (header.has(ClaimHeader.SHORTENED)) claim.signature = Signatures.lengthen(claim.signature);
        claim.data = Bytes.slice(stream, from, from + header.dataLength);
        from += header.dataLength;
        claim.uri = string(Bytes.slice(stream, from, from + header.uriLength));
    }

    function _wordsOf(bytes32 packed) private pure returns (uint256) {
        return ClaimHeader.isClaim(packed) ? ClaimHeader.unpack(packed).words() : 0;
    }

    function _putWords(bytes32[194] storage words, bytes memory stream, uint256 count) private {
        for (uint256 i = 0; i < count; ++i) {
            bytes32 word;
            assembly ("memory-safe") {
                word := mload(add(stream, mul(add(i, 1), 0x20)))
            }
            // What follows the stream in memory is not ours.
            uint256 left = stream.length - i * 32;
            if (left < 32) word &= bytes32(type(uint256).max << (8 * (32 - left)));
            words[i] = word;
        }
    }

    function _getWords(bytes32[194] storage words, uint256 count) private view returns (bytes memory stream) {
        stream = new bytes(count * 32);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 word = words[i];
            assembly ("memory-safe") {
                mstore(add(stream, mul(add(i, 1), 0x20)), word)
            }
        }
    }

    function _clearWords(bytes32[194] storage words, uint256 from, uint256 to) private {
        for (uint256 i = from; i < to; ++i) {
            delete words[i];
        }
    }
}
