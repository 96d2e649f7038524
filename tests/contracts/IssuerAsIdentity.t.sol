// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Voucher} from "./invariants/Claims.t.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

/// @dev The issuer is an identity too: others attest it, and it keeps their claims as a holder's identity does.
contract IssuerAsIdentityTest is BaseTest {
    function test_Interfaces() public view {
        bytes4[5] memory known = [
            type(IClaimIssuer).interfaceId,
            type(IIdentity).interfaceId,
            type(IERC734).interfaceId,
            type(IERC735).interfaceId,
            type(IERC165).interfaceId
        ];
        for (uint256 i = 0; i < known.length; ++i) {
            assertTrue(issuer.supportsInterface(known[i]));
        }
        assertFalse(issuer.supportsInterface(0xffffffff));
        assertEq(issuer.adder(), address(0));
    }

    function test_KeepsWhatOthersAttest() public {
        address auditor = address(new Voucher());
        bytes[3] memory contents = [bytes("short"), new bytes(2048), new bytes(97)]; // words, code, code again
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(manager);
            issuer.addClaim(TOPIC, 1, auditor, "signature", contents[i], "ipfs://audit");
            (uint256 topic,, address from, bytes memory signature, bytes memory data,) =
                issuer.getClaim(idOf(auditor, TOPIC));
            assertEq(abi.encode(topic, from, signature), abi.encode(TOPIC, auditor, "signature"));
            assertEq(data, contents[i]);
            assertEq(issuer.getClaimIdsByTopic(TOPIC).length, 1);
        }
        vm.prank(operator);
        vm.expectRevert(IERC735.SenderDoesNotHaveClaimSignerKey.selector);
        issuer.removeClaim(idOf(auditor, TOPIC));
        vm.prank(manager);
        issuer.removeClaim(idOf(auditor, TOPIC));
        assertEq(issuer.getClaimIdsByTopic(TOPIC).length, 0);
    }

    /// @dev Nobody hosts for it: address zero, which is its adder, is nobody.
    function test_NobodyIsItsAdder() public {
        vm.prank(address(0));
        vm.expectRevert();
        issuer.addClaim(TOPIC, 1, address(0), "", "", "");
        vm.prank(manager);
        vm.expectRevert(IIdentity.SenderIsNotAdder.selector);
        issuer.hostedWordChanged(TOPIC, 0, bytes32(uint256(1)));
    }
}
