// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {BaseTest} from "./Base.t.sol";
import {IConsent} from "../../contracts/interfaces/IConsent.sol";
import {IBatchExecutor} from "../../contracts/interfaces/IBatchExecutor.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

contract ConsentTest is BaseTest {
    IIdentity internal identity;
    IConsent internal consenting;

    function setUp() public override {
        super.setUp();
        identity = newIdentity();
        consenting = IConsent(address(identity));
    }

    function domain() internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Claimwright Identity"),
                keccak256("1"),
                block.chainid,
                address(identity)
            )
        );
    }

    function goodClaim() internal view returns (IERC735.Claim memory) {
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(address(identity), TOPIC, word);
        return IERC735.Claim(TOPIC, 1, address(issuer), signature, abi.encode(word), "uri");
    }

    function digestOf(IERC735.Claim memory claim, uint256 nonce, uint256 deadline) internal view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "AddClaim(uint256 topic,uint256 scheme,address issuer,bytes signature,bytes data,string uri,uint256 nonce,uint256 deadline)"
        );
        bytes memory fields = abi.encode(
            typeHash,
            claim.topic,
            claim.scheme,
            claim.issuer,
            keccak256(claim.signature),
            keccak256(claim.data),
            keccak256(bytes(claim.uri)),
            nonce,
            deadline
        );
        return keccak256(abi.encodePacked(hex"1901", domain(), keccak256(fields)));
    }

    function test_AnybodySendsWhatTheHolderSigned() public {
        IERC735.Claim memory claim = goodClaim();
        bytes memory consent = compact(holderKey, digestOf(claim, 7, NOW));
        vm.prank(stranger);
        consenting.addClaimBySig(claim, 7, NOW, consent);
        assertTrue(registry.isVerified(holder, TOPIC));
        vm.prank(holder);
        identity.removeClaim(idOf(address(issuer), TOPIC));
        vm.expectRevert(abi.encodeWithSelector(IConsent.ConsentUsed.selector, 7)); // a removed claim stays removed
        consenting.addClaimBySig(claim, 7, NOW, consent);
    }

    function test_RevertWhen_AnythingIsOtherThanSigned() public {
        IERC735.Claim memory claim = goodClaim();
        bytes memory consent = full(holderKey, digestOf(claim, 7, NOW));
        vm.expectRevert(IConsent.InvalidConsent.selector);
        consenting.addClaimBySig(claim, 8, NOW, consent);
        vm.expectRevert(IConsent.InvalidConsent.selector);
        consenting.addClaimBySig(claim, 7, NOW + 1, consent);
        claim.uri = "other";
        vm.expectRevert(IConsent.InvalidConsent.selector);
        consenting.addClaimBySig(claim, 7, NOW, consent);
        claim.uri = "uri";
        (, uint256 anyKey) = makeAddrAndKey("anybody");
        bytes memory others = full(anyKey, digestOf(claim, 7, NOW));
        vm.expectRevert(IConsent.InvalidConsent.selector);
        consenting.addClaimBySig(claim, 7, NOW, others);
        vm.warp(NOW + 1);
        vm.expectRevert(abi.encodeWithSelector(IConsent.ConsentExpired.selector, NOW));
        consenting.addClaimBySig(claim, 7, NOW, consent);
        vm.warp(NOW);
        vm.prank(stranger);
        vm.expectRevert(IERC735.SenderDoesNotHaveClaimSignerKey.selector);
        consenting.cancelConsent(7);
        vm.prank(holder);
        consenting.cancelConsent(7);
        vm.expectRevert(abi.encodeWithSelector(IConsent.ConsentUsed.selector, 7));
        consenting.addClaimBySig(claim, 7, NOW, consent);
    }

    /// @dev ERC-7739: the bare signature of a message counts for nothing, only one that names this identity.
    function test_SpeaksAsAContract() public {
        bytes32 message = keccak256("message");
        assertEq(IERC1271(address(identity)).isValidSignature(message, full(holderKey, message)), bytes4(0xffffffff));
        bytes32 wrapped = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), message));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain(), wrapped));
        bytes memory signature = full(holderKey, digest);
        assertEq(IERC1271(address(identity)).isValidSignature(message, signature), bytes4(0x1626ba7e));
        vm.startPrank(holder);
        identity.addKey(keyOf(stranger), MANAGEMENT, ECDSA);
        identity.removeKey(keyOf(holder), MANAGEMENT);
        vm.stopPrank();
        assertEq(IERC1271(address(identity)).isValidSignature(message, signature), bytes4(0xffffffff));
    }

    function test_ALesserKeySpeaksNotForTheIdentity() public {
        (address actor, uint256 actorKey) = makeAddrAndKey("actor");
        vm.prank(holder);
        identity.addKey(keyOf(actor), ACTION, ECDSA);
        bytes32 wrapped = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), bytes32(0)));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain(), wrapped));
        bytes memory signature = full(actorKey, digest);
        assertEq(IERC1271(address(identity)).isValidSignature(0, signature), bytes4(0xffffffff));
    }

    function test_Batches() public {
        IERC735.Claim[] memory claims = new IERC735.Claim[](2);
        (claims[0], claims[1]) = (goodClaim(), goodClaim());
        (claims[1].topic, claims[1].issuer, claims[1].data) = (TOPIC, address(identity), new bytes(2000));
        vm.startPrank(holder);
        assertEq(identity.addClaims(claims).length, 2);
        (,,,, bytes memory data,) = identity.getClaim(idOf(address(identity), TOPIC));
        assertEq(data.length, 2000);
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](2);
        calls[0] = IBatchExecutor.Call(address(factory), 0, "nonsense");
        calls[1] = IBatchExecutor.Call(address(identity), 0, abi.encodeCall(identity.setAdderMuted, (true)));
        identity.executeBatch(calls);
        assertTrue(identity.adderMuted());
        identity.addKey(keyOf(stranger), ACTION, ECDSA);
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectRevert(IERC734.SenderDoesNotHaveActionKey.selector);
        identity.executeBatch(calls);
    }

    function test_AnIssuerTakesItsOwnClaimBack() public {
        addAsHolder(identity, claimFor(address(identity)));
        vm.expectRevert(abi.encodeWithSelector(IERC735.ClaimNotRegistered.selector, idOf(address(this), TOPIC)));
        identity.removeClaimAsIssuer(TOPIC);
        vm.prank(address(issuer));
        identity.removeClaimAsIssuer(TOPIC);
        assertEq(identity.getClaimIdsByTopic(TOPIC).length, 0);
    }

    /// @dev Whatever the lengths, the topic and the scheme, words or code, first or again: what is read is what was written.
    function testFuzz_WhatIsReadIsWhatWasWritten(uint256 seed, bytes calldata a, bytes calldata b, string calldata c)
        public
    {
        vm.assume(a.length <= 2048 && b.length <= 2048 && bytes(c).length <= 2048);
        vm.startPrank(holder);
        for (uint256 i = 0; i < 4; ++i) {
            uint256 topic = i % 2 == 0 ? 5 : 1 + (seed >> 1);
            uint256 scheme = (seed >> i) & 1 == 0 ? 1 : seed;
            bytes memory signature = i == 3 ? full(holderKey, bytes32(seed)) : i == 2 ? new bytes(0) : a;
            identity.addClaim(topic, scheme, address(identity), signature, i > 1 ? bytes("short") : b, c);
            (uint256 t, uint256 s, address from, bytes memory x, bytes memory d, string memory u) =
                identity.getClaim(idOf(address(identity), topic));
            assertEq(abi.encode(t, s, from, x), abi.encode(topic, scheme, address(identity), signature));
            assertEq(abi.encode(d, u), abi.encode(i > 1 ? bytes("short") : b, c));
        }
    }
}
