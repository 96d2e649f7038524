// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";
import {IERC735} from "../interfaces/IERC735.sol";
import {BoundedCall} from "./BoundedCall.sol";

/// @title Reads a claim from an identity that may be hostile. Never reverts.
library ClaimTuple {
    /// @dev Three fields of 2,048 bytes from storage cost about 450,000.
    uint256 private constant GET_CLAIM_GAS = 600_000;
    /// @dev The six heads, three lengths and three fields of 2,048 bytes.
    uint256 private constant MAX_SIZE = 6_432;
    uint256 private constant HEADS = 192;

    struct Claim {
        uint256 topic;
        address issuer;
        bytes signature;
        bytes data;
    }

    /// @notice `found` is false if the identity reverts, runs out of its gas, or answers with what is no claim.
    function read(address identity, bytes32 claimId) internal view returns (bool found, Claim memory claim) {
        bytes memory answer;
        (found, answer) =
            BoundedCall.read(identity, GET_CLAIM_GAS, MAX_SIZE, abi.encodeCall(IERC735.getClaim, (claimId)));
        if (!found || answer.length < HEADS) return (false, claim);
        return decode(answer);
    }

    /// @notice As abi.decode of getClaim's outputs, but says no where that reverts. `answer` has at least the six heads.
    function decode(bytes memory answer) internal pure returns (bool ok, Claim memory claim) {
        uint256 issuer = _word(answer, 0x40);
        if (issuer > type(uint160).max) return (false, claim);
        claim.topic = _word(answer, 0x00);
        claim.issuer = address(uint160(issuer));
        (ok, claim.signature) = _field(answer, _word(answer, 0x60));
        if (ok) (ok, claim.data) = _field(answer, _word(answer, 0x80));
    }

    function _field(bytes memory answer, uint256 offset) private pure returns (bool, bytes memory) {
        if (offset > answer.length - 0x20) return (false, "");
        uint256 start = offset + 0x20;
        uint256 length = _word(answer, offset);
        if (length > answer.length - start) return (false, "");
        return (true, Bytes.slice(answer, start, start + length));
    }

    function _word(bytes memory answer, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(answer, 0x20), offset))
        }
    }
}
