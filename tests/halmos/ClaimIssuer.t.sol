// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {SymbolicTest} from "./Symbolic.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";

contract Target {
    bool public called;

    fallback() external {
        called = true;
    }
}

/// @dev Who may do what at the ClaimIssuer, and what a revocation ends.
contract ClaimIssuerProof is SymbolicTest {
    Target private target = new Target();

    /// @dev With a claim signer: to a solver, any signature may turn out to be that key's.
    function setUp() public override {
        super.setUp();
        vm.prank(MANAGER);
        issuer.addKey(keyOf(SPECIAL), 3, 712);
    }

    function managersOnly(bytes memory call) private {
        vm.prank(anyCallerBut(MANAGER, address(issuer))); // operators are among them
        (bool done,) = address(issuer).call(call);
        assert(!done);
    }

    function check_OnlyManagersAddSigners(bytes32 key, uint256 purpose, uint256 keyType) public {
        managersOnly(abi.encodeCall(IERC734.addKey, (key, purpose, keyType)));
    }

    function check_OnlyManagersRemoveSigners(bytes32 key, uint256 purpose) public {
        managersOnly(abi.encodeCall(IERC734.removeKey, (key, purpose)));
    }

    function check_OnlyManagersNameOperators(address operator, bool allowed) public {
        managersOnly(abi.encodeCall(IClaimIssuer.setOperator, (operator, allowed)));
    }

    function check_OnlyManagersRevokeBySignature(bytes32 r, bytes32 vs) public {
        managersOnly(abi.encodeCall(IClaimIssuer.revokeClaimBySignature, (abi.encodePacked(r, vs))));
    }

    function check_NoOperatorSpeaksForTheIssuer(address to, uint256 value, bytes4 selector) public {
        address caller = anyCallerBut(MANAGER, address(issuer));
        vm.assume(caller != SPECIAL);
        vm.prank(caller);
        (bool done,) = address(issuer).call(abi.encodeCall(IERC734.execute, (to, value, abi.encodePacked(selector))));
        assert(!done);
    }

    /// @dev It may ask; nothing is called before somebody else approves.
    function check_AClaimSignerOnlyAsks(bytes4 selector) public {
        vm.startPrank(SPECIAL);
        issuer.execute(address(target), 0, abi.encodePacked(selector));
        (bool approved,) = address(issuer).call(abi.encodeCall(IERC734.approve, (0, true)));
        assert(!approved && !target.called());
    }

    function check_StrangersRevokeNothing(address subject, uint256 topic) public {
        address caller = anyCallerBut(MANAGER, address(issuer));
        vm.assume(caller != OPERATOR);
        vm.prank(caller);
        (bool done,) = address(issuer).call(abi.encodeCall(IClaimIssuer.revokeSubject, (subject, topic)));
        assert(!done);
        assert(issuer.epochOf(subject, topic) == 0);
    }

    function check_StrangersSendNoBatches() public {
        address caller = anyCallerBut(MANAGER, address(issuer));
        vm.assume(caller != OPERATOR);
        vm.prank(caller);
        (bool onboarded,) =
            address(issuer).call(abi.encodeCall(IClaimIssuer.onboard, (new IClaimIssuer.Onboarding[](0))));
        vm.prank(caller);
        (bool added,) =
            address(issuer).call(abi.encodeCall(IClaimIssuer.addClaimsTo, (new IClaimIssuer.Addition[](0))));
        vm.prank(caller);
        (bool revoked,) =
            address(issuer).call(abi.encodeCall(IClaimIssuer.revokeBatch, (new IClaimIssuer.Revocation[](0))));
        assert(!onboarded && !added && !revoked);
    }

    function check_ARevocationMovesItsOwnEpochByOne(address subject, uint256 topic, address other, uint256 another)
        public
    {
        vm.assume(other != subject || another != topic);
        vm.prank(OPERATOR);
        issuer.revokeSubject(subject, topic);
        assert(issuer.epochOf(subject, topic) == 1);
        assert(issuer.epochOf(other, another) == 0);
    }

    function check_ABatchThatIsRepeatedDoesNothing(address subject, uint256 topic) public {
        IClaimIssuer.Revocation[] memory items = new IClaimIssuer.Revocation[](1);
        items[0] = IClaimIssuer.Revocation(subject, topic, 0);
        vm.startPrank(OPERATOR);
        issuer.revokeBatch(items);
        issuer.revokeBatch(items);
        assert(issuer.epochOf(subject, topic) == 1);
    }

    /// @dev Whatever the signature, and whoever made it.
    function check_NothingOfAnEarlierEpochIsValid(address subject, uint256 topic, bytes32 word, bytes32 r, bytes32 vs)
        public
    {
        vm.prank(OPERATOR);
        issuer.revokeSubject(subject, topic);
        vm.assume(uint16(uint256(word) >> 232) != 1);
        assert(!issuer.isClaimValid(subject, topic, abi.encodePacked(r, vs), abi.encodePacked(word)));
    }

    function check_NothingIsValidAfterItsExpiry(address subject, uint256 topic, bytes32 word, bytes32 r, bytes32 vs)
        public
        view
    {
        uint32 expiresAt = uint32(uint256(word) >> 168);
        vm.assume(expiresAt != 0 && expiresAt <= block.timestamp);
        assert(!issuer.isClaimValid(subject, topic, abi.encodePacked(r, vs), abi.encodePacked(word)));
    }

    function check_NothingIsValidWithoutASigner(address subject, uint256 topic, bytes32 word, bytes32 r, bytes32 vs)
        public
    {
        vm.prank(MANAGER);
        issuer.removeKey(keyOf(SPECIAL), 3);
        assert(!issuer.isClaimValid(subject, topic, abi.encodePacked(r, vs), abi.encodePacked(word)));
    }
}
