// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {SymbolicTest} from "./Symbolic.sol";
import {IClaimHost} from "../../contracts/interfaces/IClaimHost.sol";

/// @dev A batch needs both its sender and a signer's leave, which counts once. To a solver any signature may turn out to be SPECIAL's.
contract HostedProof is SymbolicTest {
    struct Leave {
        uint256 nonce;
        uint256 deadline;
        bytes32 r;
        bytes32 vs;
    }

    function setUp() public override {
        super.setUp();
        vm.prank(MANAGER);
        issuer.addKey(keyOf(SPECIAL), 3, 712);
    }

    function issueTo(address sender, bytes32 word, Leave memory leave_) private returns (bool done) {
        IClaimHost.Hosted[] memory items = new IClaimHost.Hosted[](1);
        items[0] = IClaimHost.Hosted(address(identity), word);
        bytes memory signature = abi.encodePacked(leave_.r, leave_.vs);
        IClaimHost.Authorization memory given = IClaimHost.Authorization(leave_.nonce, leave_.deadline, signature);
        vm.prank(sender);
        (done,) = address(issuer).call(abi.encodeCall(IClaimHost.issue, (TOPIC, items, given)));
    }

    function revokeFrom(address sender, Leave memory leave_) private returns (bool done) {
        address[] memory subjects = new address[](1);
        subjects[0] = address(identity);
        bytes memory signature = abi.encodePacked(leave_.r, leave_.vs);
        IClaimHost.Authorization memory given = IClaimHost.Authorization(leave_.nonce, leave_.deadline, signature);
        vm.prank(sender);
        (done,) = address(issuer).call(abi.encodeCall(IClaimHost.revokeHosted, (TOPIC, subjects, given)));
    }

    function hostedWord() private view returns (bytes32 word) {
        (, word) = issuer.getHosted(address(identity), keccak256(abi.encode(issuer, TOPIC)));
    }

    function check_OnlyOperatorsSendBatches(bytes32 word, Leave memory leave_) public {
        address caller = anyCallerBut(MANAGER, address(issuer));
        vm.assume(caller != OPERATOR);
        assert(!issueTo(caller, word, leave_));
        assert(!revokeFrom(caller, leave_));
        assert(hostedWord() == 0 && issuer.epochOf(address(identity), TOPIC) == 0);
    }

    /// @dev A stolen sender, or a manager, mints nothing by itself.
    function check_NobodyHostsWithoutASigner(bytes32 word, Leave memory leave_) public {
        vm.prank(MANAGER);
        issuer.removeKey(keyOf(SPECIAL), 3);
        assert(!issueTo(OPERATOR, word, leave_) && !issueTo(MANAGER, word, leave_));
        assert(!revokeFrom(OPERATOR, leave_));
    }

    function check_ASuspendedSignerGivesNoLeave(bytes32 word, Leave memory leave_) public {
        vm.prank(MANAGER);
        issuer.suspendSigner(SPECIAL);
        assert(!issueTo(OPERATOR, word, leave_));
        assert(!revokeFrom(OPERATOR, leave_));
    }

    function check_ALateLeaveIsRefused(bytes32 word, Leave memory leave_) public {
        vm.assume(leave_.deadline < block.timestamp);
        assert(!issueTo(OPERATOR, word, leave_));
    }

    function check_EachNonceIsUsedOnceAndAlone(uint256 nonce, uint256 other) public {
        vm.startPrank(SPECIAL);
        issuer.cancelAuthorization(SPECIAL, nonce);
        assert(issuer.isNonceUsed(SPECIAL, nonce));
        assert(nonce == other || !issuer.isNonceUsed(SPECIAL, other));
        (bool again,) = address(issuer).call(abi.encodeCall(IClaimHost.cancelAuthorization, (SPECIAL, nonce)));
        assert(!again);
    }

    /// @dev Of one nonce: that all are alike is said above. Used for an empty batch, since nothing that follows in a batch takes a nonce back.
    function check_ALeaveCountsOnce(bytes32 word, Leave memory leave_) public {
        leave_.nonce = 7;
        bytes memory signature = abi.encodePacked(leave_.r, leave_.vs);
        vm.prank(OPERATOR);
        issuer.issue(
            TOPIC, new IClaimHost.Hosted[](0), IClaimHost.Authorization(leave_.nonce, leave_.deadline, signature)
        );
        assert(issuer.isNonceUsed(SPECIAL, 7));
        assert(!issueTo(OPERATOR, word, leave_)); // even if the signer had signed that too
    }

    /// @dev That the proofs above do not hold by accident: there is a leave that counts, and what it hosts is valid.
    function check_ALeaveHosts(uint32 issuedAt, Leave memory leave_) public {
        vm.assume(leave_.deadline >= block.timestamp);
        bytes32 word = bytes32((uint256(1) << 248) | (uint256(issuedAt) << 200));
        vm.assume(issueTo(OPERATOR, word, leave_));
        assert(hostedWord() == word);
        assert(issuer.isClaimValid(address(identity), TOPIC, "", abi.encodePacked(word)));
    }

    function check_ACancelledLeaveIsRefused(bytes32 word, Leave memory leave_) public {
        leave_.nonce = 7;
        vm.prank(MANAGER);
        issuer.cancelAuthorization(SPECIAL, leave_.nonce);
        assert(!issueTo(OPERATOR, word, leave_));
    }

    function check_OnlyItsSignerOrAManagerCancels(address signer, uint256 nonce) public {
        address caller = anyCallerBut(MANAGER, address(issuer));
        vm.assume(caller != signer);
        vm.prank(caller);
        (bool done,) = address(issuer).call(abi.encodeCall(IClaimHost.cancelAuthorization, (signer, nonce)));
        assert(!done && !issuer.isNonceUsed(signer, nonce));
    }

    function check_OnlyTheWordThatStandsIsValid(bytes32 word, bytes32 other, Leave memory leave_) public {
        issueTo(OPERATOR, word, leave_);
        bool valid = issuer.isClaimValid(address(identity), TOPIC, "", abi.encodePacked(other));
        assert(!valid || other == hostedWord());
    }

    /// @dev Of whatever epoch: after a revocation nothing stands until it is issued anew.
    function check_NothingHostedOutlivesARevocation(bytes32 word, bytes32 any, Leave memory leave_) public {
        issueTo(OPERATOR, word, leave_);
        vm.prank(OPERATOR);
        issuer.revokeSubject(address(identity), TOPIC);
        assert(hostedWord() == 0);
        assert(!issuer.isClaimValid(address(identity), TOPIC, "", abi.encodePacked(any)));
    }

    function check_AWordOfAnotherEpochIsNotHosted(bytes32 word, Leave memory leave_) public {
        vm.assume(uint16(uint256(word) >> 232) != 0);
        issueTo(OPERATOR, word, leave_);
        assert(hostedWord() == 0);
    }

    function check_AMutedAdderHostsNothing(bytes32 word, Leave memory leave_) public {
        vm.prank(HOLDER);
        identity.setAdderMuted(true);
        issueTo(OPERATOR, word, leave_);
        assert(hostedWord() == 0);
    }
}
