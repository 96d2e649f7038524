// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {SymbolicTest} from "./Symbolic.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

/// @dev An issuer to whom everything is valid.
contract Agreeable {
    function isClaimValid(address, uint256, bytes calldata, bytes calldata) external pure returns (bool) {
        return true;
    }
}

/// @dev Who may change an identity: for every caller, every argument.
contract IdentityProof is SymbolicTest {
    Agreeable private agreeable = new Agreeable();

    function check_OnlyManagersAddKeys(bytes32 key, uint256 purpose, uint256 keyType) public {
        vm.prank(anyCallerBut(HOLDER, address(identity)));
        (bool done,) = address(identity).call(abi.encodeCall(IERC734.addKey, (key, purpose, keyType)));
        assert(!done);
    }

    function check_OnlyManagersRemoveKeys(bytes32 key, uint256 purpose) public {
        vm.prank(anyCallerBut(HOLDER, address(identity)));
        (bool done,) = address(identity).call(abi.encodeCall(IERC734.removeKey, (key, purpose)));
        assert(!done);
    }

    function check_OnlyManagersMuteTheAdder(bool muted) public {
        vm.prank(anyCallerBut(HOLDER, address(identity)));
        (bool done,) = address(identity).call(abi.encodeCall(IIdentity.setAdderMuted, (muted)));
        assert(!done);
    }

    /// @dev A key of any purpose but MANAGEMENT stays what it is, whatever its owner calls the identity with.
    function check_NoOtherPurposeGrowsIntoManagement(uint256 purpose, bytes32 key, uint256 added) public {
        vm.assume(purpose > 1 && purpose <= 4);
        vm.prank(HOLDER);
        identity.addKey(keyOf(SPECIAL), purpose, 1);
        bytes memory call = abi.encodeCall(IERC734.addKey, (key, added, 1));

        vm.prank(SPECIAL);
        (bool direct,) = address(identity).call(call);
        assert(!direct);

        vm.prank(SPECIAL);
        (bool asked,) = address(identity).call(abi.encodeCall(IERC734.execute, (address(identity), 0, call)));
        if (asked) {
            vm.prank(SPECIAL);
            (bool approved,) = address(identity).call(abi.encodeCall(IERC734.approve, (0, true)));
            assert(!approved);
        }
        assert(!identity.keyHasPurpose(keyOf(SPECIAL), 1));
    }

    function check_StrangersExecuteNothing(address to, uint256 value, bytes4 selector) public {
        vm.prank(anyCallerBut(HOLDER, address(identity)));
        (bool done,) =
            address(identity).call(abi.encodeCall(IERC734.execute, (to, value, abi.encodePacked(selector))));
        assert(!done);
    }

    function check_StrangersAddNoClaims(uint256 topic, uint256 scheme, bool selfIssued) public {
        address caller = anyCallerBut(HOLDER, address(identity));
        vm.assume(caller != address(issuer));
        vm.prank(caller);
        assert(!added(topic, scheme, selfIssued ? address(identity) : address(agreeable)));
    }

    /// @dev The adder writes in its own name only: not what another issuer says is valid, and not in the holder's name.
    function check_TheAdderAddsNobodyElsesClaims(uint256 topic, uint256 scheme, bool selfIssued) public {
        vm.prank(address(issuer));
        assert(!added(topic, scheme, selfIssued ? address(identity) : address(agreeable)));
    }

    /// @dev That the two above do not hold by accident: the holder may add that very claim.
    function check_TheHolderAddsIt(uint256 topic, uint256 scheme) public {
        vm.assume(topic != 0);
        vm.prank(HOLDER);
        assert(added(topic, scheme, address(agreeable)));
    }

    function added(uint256 topic, uint256 scheme, address claimIssuer) private returns (bool done) {
        bytes4 selector = IERC735.addClaim.selector;
        (done,) = address(identity).call(abi.encodeWithSelector(selector, topic, scheme, claimIssuer, "", "", ""));
    }

    function check_TheLastManagerStays(bytes32 key, uint256 purpose) public {
        vm.prank(HOLDER);
        (bool done,) = address(identity).call(abi.encodeCall(IERC734.removeKey, (key, purpose)));
        assert(!done || purpose != 1);
        assert(identity.keyHasPurpose(keyOf(HOLDER), 1));
    }

    function check_TheKeyOfNobodyIsRefused(uint256 purpose, uint256 keyType) public {
        bytes32 nobody = keyOf(address(0));
        vm.prank(HOLDER);
        (bool done,) = address(identity).call(abi.encodeCall(IERC734.addKey, (nobody, purpose, keyType)));
        assert(!done);
        assert(!identity.keyHasPurpose(nobody, purpose));
    }

    function check_TheImplementationHasNoManager(bytes32 key, uint256 purpose) public {
        assert(!IIdentity(factory.implementation()).keyHasPurpose(key, purpose));
    }
}
