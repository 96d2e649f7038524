// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {SymbolicTest} from "./Symbolic.sol";
import {IClaimSigners} from "../../contracts/interfaces/IClaimSigners.sol";

/// @dev What a guardian may do and a manager alone, and that nothing counts outside the terms of its signer. To a solver any signature may turn out to be SPECIAL's.
contract SignersProof is SymbolicTest {
    address internal constant GUARDIAN = address(0x1006);
    address internal constant OTHER = address(0x1007);

    function setUp() public override {
        super.setUp();
        vm.startPrank(MANAGER);
        issuer.addKey(keyOf(SPECIAL), 3, 712);
        issuer.setGuardian(GUARDIAN, true);
        vm.stopPrank();
    }

    function suspend() private {
        vm.prank(GUARDIAN);
        issuer.suspendSigner(SPECIAL);
    }

    function refused(address caller, bytes memory call) private {
        vm.prank(caller);
        (bool done,) = address(issuer).call(call);
        assert(!done);
    }

    function check_OnlyGuardiansAndManagersSuspend(address signer) public {
        address caller = anyCallerBut(MANAGER, address(issuer));
        vm.assume(caller != GUARDIAN);
        refused(caller, abi.encodeCall(IClaimSigners.suspendSigner, (signer)));
    }

    /// @dev Guardians among them.
    function check_OnlyManagersRestore(address signer) public {
        suspend();
        refused(anyCallerBut(MANAGER, address(issuer)), abi.encodeCall(IClaimSigners.restoreSigner, (signer)));
        (,,, bool suspended) = issuer.signerTerms(SPECIAL);
        assert(suspended);
    }

    function check_OnlyManagersSetTerms(address signer, uint32 from, uint32 until, uint16 life) public {
        address caller = anyCallerBut(MANAGER, address(issuer));
        refused(caller, abi.encodeCall(IClaimSigners.setSignerTerms, (signer, from, until, life)));
    }

    function check_OnlyManagersNameGuardians(address guardian, bool allowed) public {
        address caller = anyCallerBut(MANAGER, address(issuer));
        refused(caller, abi.encodeCall(IClaimSigners.setGuardian, (guardian, allowed)));
    }

    function check_ASuspendedSignerValidatesNothing(
        address subject,
        uint256 topic,
        bytes32 word,
        bytes32 r,
        bytes32 vs
    ) public {
        suspend();
        assert(!issuer.isClaimValid(subject, topic, abi.encodePacked(r, vs), abi.encodePacked(word)));
    }

    function check_NewTermsLiftNoSuspension(uint32 from, uint32 until, uint16 life) public {
        suspend();
        vm.prank(MANAGER);
        issuer.setSignerTerms(SPECIAL, from, until, life);
        (uint32 f, uint32 u, uint16 l, bool suspended) = issuer.signerTerms(SPECIAL);
        assert(suspended && f == from && u == until && l == life);
    }

    /// @dev A suspension and its end leave the terms, and everybody else's, as they were.
    function check_ARestoredSignerHasItsTermsAgain(uint32 from, uint32 until, uint16 life) public {
        vm.startPrank(MANAGER);
        issuer.addKey(keyOf(OTHER), 3, 712);
        issuer.setSignerTerms(SPECIAL, from, until, life);
        vm.stopPrank();
        suspend();
        vm.prank(MANAGER);
        issuer.restoreSigner(SPECIAL);
        (uint32 f, uint32 u, uint16 l, bool suspended) = issuer.signerTerms(SPECIAL);
        assert(!suspended && f == from && u == until && l == life);
        (f, u, l, suspended) = issuer.signerTerms(OTHER);
        assert(!suspended && f == 0 && u == 0 && l == 0);
        assert(issuer.keyHasPurpose(keyOf(SPECIAL), 3) && !issuer.keyHasPurpose(keyOf(SPECIAL), 1));
    }

    function check_NothingCountsOutsideItsWindow(uint32 from, uint32 until, bytes32 word, bytes32 r, bytes32 vs)
        public
    {
        vm.prank(MANAGER);
        issuer.setSignerTerms(SPECIAL, from, until, 0);
        uint32 issuedAt = uint32(uint256(word) >> 200);
        vm.assume(issuedAt < from || (until != 0 && issuedAt > until));
        assert(!issuer.isClaimValid(HOLDER, TOPIC, abi.encodePacked(r, vs), abi.encodePacked(word)));
    }

    /// @dev From now or its issue, whichever is earlier: a word that is dated ahead lives no longer for it.
    function check_NothingCountsThatLivesTooLong(uint16 life, bytes32 word, bytes32 r, bytes32 vs) public {
        vm.prank(MANAGER);
        issuer.setSignerTerms(SPECIAL, 0, 0, life);
        uint256 issuedAt = uint32(uint256(word) >> 200);
        uint256 end = uint32(uint256(word) >> 168);
        uint256 start = issuedAt < block.timestamp ? issuedAt : block.timestamp;
        vm.assume(life != 0 && (end == 0 || end > start + uint256(life) * 1 days));
        assert(!issuer.isClaimValid(HOLDER, TOPIC, abi.encodePacked(r, vs), abi.encodePacked(word)));
    }
}
