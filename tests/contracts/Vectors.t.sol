// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Test} from "forge-std/Test.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {ClaimWord} from "../../contracts/libraries/ClaimWord.sol";

/// @dev tests/fixtures/claim_vectors.json was made with eth_account and eth_abi: what Python signs must be what the contract takes.
contract VectorsTest is Test {
    address private manager = makeAddr("manager");
    string private json = vm.readFile("tests/fixtures/claim_vectors.json");

    function test_Claims() public {
        uint256 count = 0;
        for (; vm.keyExistsJson(json, path("claims", count, "")); ++count) {
            check(count);
        }
        assertGe(count, 5);
    }

    function test_Commitments() public view {
        uint256 count = 0;
        for (; vm.keyExistsJson(json, path("commitments", count, "")); ++count) {
            bytes32 hash = keccak256(
                abi.encode(
                    vm.parseJsonBytes32(json, path("commitments", count, ".salt")),
                    vm.parseJsonString(json, path("commitments", count, ".case_id")),
                    vm.parseJsonString(json, path("commitments", count, ".level")),
                    vm.parseJsonString(json, path("commitments", count, ".provider")),
                    vm.parseJsonString(json, path("commitments", count, ".environment"))
                )
            );
            bytes memory expected = vm.parseJsonBytes(json, path("commitments", count, ".commitment"));
            assertEq(abi.encodePacked(bytes21(hash)), expected);
        }
        assertGe(count, 5);
    }

    function check(uint256 i) private {
        IClaimIssuer issuer = IClaimIssuer(vm.parseJsonAddress(json, path("claims", i, ".claim_issuer")));
        address identity = vm.parseJsonAddress(json, path("claims", i, ".identity"));
        uint256 topic = vm.parseUint(vm.parseJsonString(json, path("claims", i, ".topic")));
        bytes32 word = packed(i);
        assertEq(word, vm.parseJsonBytes32(json, path("claims", i, ".word")));
        assertEq(keccak256(abi.encode(issuer, topic)), vm.parseJsonBytes32(json, path("claims", i, ".claim_id")));

        vm.chainId(vm.parseJsonUint(json, path("claims", i, ".chain_id")));
        vm.warp(ClaimWord.issuedAt(word));
        deployCodeTo("ClaimIssuer.sol:ClaimIssuer", abi.encode(manager, address(this)), address(issuer));
        bytes32 digest = issuer.claimDigest(identity, topic, word);
        assertEq(digest, vm.parseJsonBytes32(json, path("claims", i, ".digest")));

        uint256 key = vm.parseJsonUint(json, path("claims", i, ".private_key"));
        bytes memory signature = vm.parseJsonBytes(json, path("claims", i, ".signature"));
        (bytes32 r, bytes32 vs) = vm.signCompact(key, digest);
        assertEq(signature, abi.encodePacked(r, vs)); // RFC 6979: one key and digest, one signature

        bytes memory data = abi.encodePacked(word);
        assertFalse(issuer.isClaimValid(identity, topic, signature, data));
        vm.startPrank(manager);
        issuer.addKey(keccak256(abi.encode(vm.addr(key))), 3, 712);
        for (uint16 epoch = 0; epoch < ClaimWord.epoch(word) && epoch < 400; ++epoch) {
            issuer.revokeSubject(identity, topic);
        }
        vm.stopPrank();
        assertEq(issuer.isClaimValid(identity, topic, signature, data), ClaimWord.epoch(word) <= 400);
    }

    function packed(uint256 i) private view returns (bytes32) {
        return ClaimWord.pack(
            uint16(vm.parseJsonUint(json, path("claims", i, ".word_fields.epoch"))),
            uint32(vm.parseJsonUint(json, path("claims", i, ".word_fields.issued_at"))),
            uint32(vm.parseJsonUint(json, path("claims", i, ".word_fields.expires_at"))),
            bytes21(vm.parseJsonBytes(json, path("claims", i, ".word_fields.commitment")))
        );
    }

    function path(string memory list, uint256 i, string memory field) private pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(i), "]", field);
    }
}
