// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Parrot} from "./Hostile.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

/// @dev What a holder, or whoever may write for one, can make an identity keep.
contract StoredTest is BaseTest {
    /// @dev An issuer that vouches for everything.
    function voucher() private returns (address) {
        Parrot parrot = new Parrot();
        parrot.teach(IIdentity.isClaimValid.selector, abi.encode(true));
        return address(parrot);
    }

    function test_ALongClaimIsCodeThatNeverRuns() public {
        IIdentity identity = newIdentity();
        address account = vm.computeCreateAddress(address(identity), vm.getNonce(address(identity)));
        bytes memory data = hex"ef6080604052600160005260206000f3"; // what would run, or be refused as code, if it came first
        address issuer_ = voucher();
        vm.prank(holder);
        identity.addClaim(TOPIC, 1, issuer_, data, bytes.concat(data, new bytes(100)), "");
        assertEq(account.code[0], 0x00);
        (bool success, bytes memory answer) = account.call(data);
        assertTrue(success); // STOP
        assertEq(answer.length, 0);
    }

    function test_RevertWhen_AFiftyFirstIssuerWrites() public {
        IIdentity identity = newIdentity();
        address[51] memory issuers;
        for (uint256 i = 0; i < 51; ++i) {
            issuers[i] = voucher();
        }
        vm.startPrank(holder);
        for (uint256 i = 0; i < 50; ++i) {
            identity.addClaim(TOPIC, 1, issuers[i], "", "", "");
        }
        address late = issuers[50];
        vm.expectRevert(abi.encodeWithSelector(IERC735.TooManyClaims.selector, TOPIC));
        identity.addClaim(TOPIC, 1, late, "", "", "");
        identity.addClaim(TOPIC + 1, 1, late, "", "", "");
        assertEq(identity.getClaimIdsByTopic(TOPIC).length, 50);
    }
}
