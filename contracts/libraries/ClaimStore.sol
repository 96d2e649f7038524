// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC735} from "../interfaces/IERC735.sol";
import {ClaimHeader, ClaimHeaders} from "./ClaimHeader.sol";
import {CodeStore} from "./CodeStore.sol";
import {Signatures} from "./Signatures.sol";
import {Stream} from "./Stream.sol";

/// @title The claims of an identity in as few words as they need
/// @notice A header, then one stream: topic and scheme if they are wide, signature, data, uri. A short stream stands in words, which are cheap to
/// change; a long one stands as code, which is cheap to write. Nothing else is kept, so what is read is what was written.
library ClaimStore {
    /// @dev Room for a wide topic and scheme and three fields of 2,048 bytes: the array has no length of its own.
    struct Store {
        mapping(bytes32 claimId => ClaimHeader) headers;
        mapping(bytes32 claimId => bytes32[194]) words;
    }

    /// @notice Writes or replaces a claim as `encode` gave it.
    /// @param old the header that is there now
    /// @param threshold how many bytes the stream may have to stand in words
    function write(
        Store storage self,
        bytes32 claimId,
        ClaimHeader old,
        ClaimHeader header,
        bytes memory stream,
        uint256 threshold
    ) internal {
        bytes32[194] storage words = self.words[claimId];
        if (stream.length > threshold) {
            header = header.inCode(CodeStore.write(abi.encodePacked(header.account(), stream)));
        } else {
            Stream.store(words, stream);
        }
        if (old.isClaim()) _clearWords(words, header.words(), old.words());
        if (ClaimHeader.unwrap(header) != ClaimHeader.unwrap(old)) self.headers[claimId] = header;
    }

    /// @notice Forgets the claim and leaves `rest` for its header: none, or a tombstone.
    function clear(Store storage self, bytes32 claimId, ClaimHeader old, ClaimHeader rest) internal {
        self.headers[claimId] = rest;
        _clearWords(self.words[claimId], 0, old.words());
    }

    /// @notice The claim that has this header, all zero if it is the header of none.
    function read(Store storage self, bytes32 claimId, ClaimHeader header)
        internal
        view
        returns (IERC735.Claim memory claim)
    {
        if (!header.isClaim()) return claim;
        if (header.has(ClaimHeaders.CODE)) {
            bytes memory code = CodeStore.read(header.account());
            return _decode(header, address(bytes20(code)), code, 20);
        }
        return _decode(header, header.account(), Stream.load(self.words[claimId], header.words()), 0);
    }

    /// @notice The header of a claim whose rest stands in words, and that rest; fields of at most 2,048 bytes.
    function encode(
        uint256 topic,
        uint256 scheme,
        address issuer,
        bytes calldata signature,
        bytes calldata data,
        bytes calldata uri
    ) internal pure returns (ClaimHeader header, bytes memory stream) {
        uint256 flags = 0;
        if (Signatures.canShorten(signature)) {
            flags = ClaimHeaders.SHORTENED;
            stream = Stream.join(signature[:Signatures.COMPACT], data, uri);
            Stream.put(stream, 32, Signatures.shortened(signature));
            signature = signature[:Signatures.COMPACT];
        } else {
            stream = Stream.join(signature, data, uri);
        }
        if (scheme > type(uint8).max) {
            flags |= ClaimHeaders.WIDE_SCHEME;
            stream = Stream.prefixed(stream, scheme);
            scheme = 0;
        }
        if (topic > type(uint32).max) {
            flags |= ClaimHeaders.WIDE_TOPIC;
            stream = Stream.prefixed(stream, topic);
            topic = 0;
        }
        header = ClaimHeaders.make(
            flags,
            uint16(uri.length),
            uint16(data.length),
            uint16(signature.length),
            uint8(scheme),
            uint32(topic),
            issuer
        );
    }

    function _decode(ClaimHeader header, address issuer, bytes memory stream, uint256 from)
        private
        pure
        returns (IERC735.Claim memory claim)
    {
        unchecked {
            claim.issuer = issuer;
            claim.topic = header.topic();
            claim.scheme = header.scheme();
            if (header.has(ClaimHeaders.WIDE_TOPIC)) {
                claim.topic = Stream.wordAt(stream, from);
                from += 32;
            }
            if (header.has(ClaimHeaders.WIDE_SCHEME)) {
                claim.scheme = Stream.wordAt(stream, from);
                from += 32;
            }
            claim.signature = Stream.take(stream, from, header.signatureLength());
            from += header.signatureLength();
            if (header.has(ClaimHeaders.SHORTENED)) claim.signature = Signatures.lengthen(claim.signature);
            claim.data = Stream.take(stream, from, header.dataLength());
            from += header.dataLength();
            claim.uri = string(Stream.take(stream, from, header.uriLength()));
        }
    }

    function _clearWords(bytes32[194] storage words, uint256 from, uint256 to) private {
        for (uint256 i = from; i < to; ++i) {
            delete words[i];
        }
    }
}
